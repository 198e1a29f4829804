"""``mindglm``: the door of every process."""

import sys
from importlib import import_module
from types import ModuleType

from mindglm.lean import UNUSED_BY_ADAPTERS, without

_ADAPTERS = ("telegram", "wechat")


def main() -> None:
    """A foreseeable trouble is one line on stderr and exit status 1, never a traceback."""
    from dialogue.errors import DialogueError

    try:
        match sys.argv[1:]:
            case [channel] if channel in _ADAPTERS:
                sys.exit(_listen(channel))
            case _:
                from mindglm.commands import app

                app()
    except DialogueError as error:
        sys.stderr.write(f"mindglm: {error}\n")
        sys.exit(1)


def _listen(channel: str) -> int:
    """Processes that run for months, without the command line's libraries. Returns the exit status."""
    with without(*UNUSED_BY_ADAPTERS):
        from bot.settings import BotSettings

        adapter: ModuleType = import_module(f"mindglm.{channel}")
    status: int = adapter.run(BotSettings.read())
    return status


if __name__ == "__main__":
    main()
