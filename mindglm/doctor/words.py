"""Findings in the operator's language, from data files."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from bot.channels import registry
from bot.channels.findings import CheckResult
from dialogue.errors import DialogueError
from mindglm import language


@dataclass(frozen=True, slots=True)
class Explanations:
    """What is found and how it is mended, by the finding's key."""

    entries: dict[str, dict[str, str]]
    locale: str

    def title(self, check: str) -> str:
        return self.entries["titles"][check]

    def verdict(self, grade: str) -> str:
        return self.entries["verdicts"][grade]

    def says(self, finding: CheckResult) -> str:
        return self.entries[finding.key]["says"].format(**self._values(finding))

    def mend(self, finding: CheckResult) -> str | None:
        """What to do; None where nothing is to be done."""
        mend = self.entries[finding.key].get("mend")
        return mend.format(**self._values(finding)) if mend else None

    def _values(self, finding: CheckResult) -> dict[str, object]:
        """A refusal of the domain is a sentence, too."""
        return {
            name: self._spoken(str(value)) if isinstance(value, DialogueError) else value
            for name, value in finding.values.items()
        }

    def _spoken(self, sentence: str) -> str:
        return language.sentences("en" if self.locale == "en" else "zh").say(sentence)


def load(locale: str) -> Explanations:
    """Read `mindglm/doctor/locales/<locale>.toml`, and what the channels bring."""
    entries = tomllib.loads((files("mindglm.doctor") / "locales" / f"{locale}.toml").read_text("utf-8"))
    for channel in registry.platforms():
        words = channel.words(locale)
        entries["titles"][channel.name] = words.label
        entries |= {key: dict(entry) for key, entry in words.findings.items()}
    return Explanations(entries, locale)
