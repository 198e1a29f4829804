"""``mindglm``: the entry point of every process."""

import sys

from mindglm import lean

CHAT_OPTIONS = frozenset({"--timings", "--worker", "--no-worker"})
"""Of `mindglm chat`; with any other word, `--help` above all, the command line answers."""


def main() -> None:
    """An expected error is one line on stderr and a status of the table, never a traceback."""
    from dialogue.errors import DialogueError
    from dialogue.process.exit_status import status_of

    try:
        match sys.argv[1:]:
            case [name] if _is_platform(name):
                sys.exit(_listen(name))
            case ["worker"]:
                sys.exit(_answer())
            case ["chat", *options] if set(options) <= CHAT_OPTIONS:
                sys.exit(_talk(options))
            case _:
                from mindglm import language, speaking
                from mindglm.commands import app

                speaking.run(app, language.sentences(language.locale()))
    except DialogueError as error:
        from mindglm import language

        language.echo(f"mindglm: {error}", to_stderr=True)
        sys.exit(status_of(error))


def _is_platform(name: str) -> bool:
    from bot.channels import registry

    channel = registry.named(name)
    return channel is not None and channel.process is not None


def _listen(name: str) -> int:
    """Processes that run for months, without the command line's libraries. Returns the exit status."""
    from mindglm import docstrings

    with docstrings.left_out():
        with lean.services():
            from bot.channels import registry
            from mindglm import adapter_process

            (channel,) = (each for each in registry.platforms() if each.name == name)
            adapter_process.load(channel)
        return adapter_process.run(channel)


def _talk(options: list[str]) -> int:
    """The command of `mindglm.commands`, without the libraries of the command line: its prompt is waited for."""
    with lean.services():
        from dialogue.process.settings import DialogueSettings
        from mindglm.chat import run

    asked = [option for option in options if option != "--timings"]
    has_worker = asked[-1:] != ["--no-worker"]
    return run(DialogueSettings.read(), has_worker=has_worker, has_timings="--timings" in options)


def _answer() -> int:
    from mindglm import docstrings

    with docstrings.left_out():
        with lean.services():
            from mindglm import unknown_settings, worker

        unknown_settings.warn()
        return worker.run(concurrency=None, name=None)


if __name__ == "__main__":
    main()
