"""The adapters that a deployment names, and which of them is in use on this host.

The choice is a file in the home: it outlives the process, and every worker of the home follows it.
"""

from dataclasses import dataclass
from pathlib import Path

from dialogue.errors import Misconfigured
from dialogue.process import home
from worker.settings import WorkerSettings

NONE = "none"
"""The model without any adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """`paths` by name; `default` is in use until another one is chosen."""

    paths: dict[str, str | None]
    default: str
    choice: Path

    def in_use(self) -> str:
        """The chosen one, or the default where none was chosen or the chosen one is not named any more."""
        try:
            name = self.choice.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return self.default
        return name if name in self.paths else self.default

    def applied(self, settings: WorkerSettings, name: str) -> WorkerSettings:
        return settings.model_copy(update={"adapter": self.paths[name], "adapters": None})

    def use(self, name: str) -> None:
        """Choose; workers follow within seconds. Raises `Misconfigured` for a name that is not among them."""
        if name not in self.paths:
            raise Misconfigured(f"There is no adapter {name}; MINDGLM_ADAPTERS names {', '.join(self.paths)}.")
        written = self.choice.with_suffix(".part")
        written.write_text(f"{name}\n", encoding="utf-8")
        written.replace(self.choice)


def with_adapter_in_use(settings: WorkerSettings) -> WorkerSettings:
    """The same with the path of the adapter in use, for whoever loads the model. Raises `Misconfigured`."""
    adapters = adapters_of(settings)
    return settings if adapters is None else adapters.applied(settings, adapters.in_use())


def adapters_of(settings: WorkerSettings) -> Adapters | None:
    """None where MINDGLM_ADAPTERS is not set. Raises `Misconfigured`."""
    if not settings.adapters:
        return None
    paths: dict[str, str | None] = {NONE: None}
    for entry in settings.adapters.split(","):
        name, is_pair, path = (part.strip() for part in entry.partition("="))
        if not (name and is_pair and path) or name in paths:
            raise Misconfigured(
                "MINDGLM_ADAPTERS must look like calm=/models/calm,brief=/models/brief, each name once."
            )
        paths[name] = path
    default = settings.adapter or NONE
    if default not in paths:
        raise Misconfigured(f"MINDGLM_ADAPTER={default} is none of MINDGLM_ADAPTERS: {', '.join(paths)}.")
    return Adapters(paths=paths, default=default, choice=home.home(settings) / "adapter")
