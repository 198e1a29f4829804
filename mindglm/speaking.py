"""Typer's help and errors in the operator's language: what it knows of ours is translated before it runs."""

import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.exceptions import TyperException

from mindglm import lean
from mindglm.language import Sentences

_FRAMEWORK = (
    "DEPRECATED_STRING",
    "DEFAULT_STRING",
    "ENVVAR_STRING",
    "REQUIRED_LONG_STRING",
    "ARGUMENTS_PANEL_TITLE",
    "OPTIONS_PANEL_TITLE",
    "COMMANDS_PANEL_TITLE",
    "ERRORS_PANEL_TITLE",
    "ABORTED_TEXT",
)
"""Typer's fixed strings, which it leaves to be replaced."""
_USAGE = "Usage: "
_FORMATS = ("DEFAULT_STRING", "ENVVAR_STRING")


def run(app: typer.Typer, sentences: Sentences, arguments: list[str] | None = None) -> None:
    """Run the command line; ends by `SystemExit`."""
    call(spoken(app, sentences), sentences, arguments)


def spoken(app: typer.Typer, sentences: Sentences) -> Any:
    """The command line as click runs it, in that language."""
    command = typer.main.get_command(app)
    for each in commands(command):
        _format_late(each, sentences)
        if sentences.locale != "en":
            _translate(each, sentences)
    return command


def call(command: Any, sentences: Sentences, arguments: list[str] | None) -> None:
    """Run what `spoken` made; ends by `SystemExit`."""
    if sentences.locale == "en":
        command(arguments)
        return
    try:
        status = command.main(arguments, prog_name="mindglm", standalone_mode=False)
    except typer.Abort:
        sys.stderr.write(sentences.say("Aborted.") + "\n")
        sys.exit(1)
    except TyperException as error:
        sys.stderr.write(usage_error(error, sentences))
        sys.exit(getattr(error, "exit_code", 1))
    sys.exit(status if isinstance(status, int) else 0)


def commands(command: Any) -> Iterator[Any]:
    """The command and all below it."""
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from commands(each)


def usage_error(error: Any, sentences: Sentences) -> str:
    """What is shown for a wrong usage; nothing where the help was shown already."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    context, lines = getattr(error, "ctx", None), []
    if context is not None:
        lines.append(context.get_usage())
        lines.append(sentences.say(f"Try '{context.command_path} --help' for help."))
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    lines.append(sentences.say(f"Error: {message}"))
    return "".join(f"{line}\n" for line in lines)


def paragraphs(text: str) -> list[str]:
    """A help text as sentences are looked up: paragraph by paragraph, each on one line."""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _translate(command: Any, sentences: Sentences) -> None:
    for name in ("help", "short_help", "epilog"):
        if text := getattr(command, name, None):
            setattr(command, name, "\n\n".join(map(sentences.say, paragraphs(text))))
    for parameter in command.params:
        if text := getattr(parameter, "help", None):
            parameter.help = sentences.say(" ".join(text.split()))
    if not hasattr(command, "_spoken"):
        usage = command.get_usage
        command.get_usage = lambda context: sentences.say(usage(context))
        option = command.get_help_option

        def help_option(context: Any) -> Any:
            found = option(context)
            if found is not None:
                found.help = sentences.say(found.help or "")
            return found

        command.get_help_option = help_option
        command._spoken = True  # noqa: SLF001 - ours


def _format_late(command: Any, sentences: Sentences) -> None:
    """Only help loads what formats it; every other start does without."""
    format_help = command.format_help

    def formatted(context: Any, formatter: Any) -> None:
        _translate_framework(sentences)
        format_help(context, formatter)

    command.format_help = formatted


def _translate_framework(sentences: Sentences) -> None:
    with lean.without(*lean.UNUSED_BY_HELP), lean.late(lean.LATE_IN_HELP):
        from typer import rich_utils
    for name in _FRAMEWORK:
        text: str = getattr(rich_utils, name)
        said = sentences.say(text)
        setattr(rich_utils, name, said.replace("{0}", "{}") if name in _FORMATS else said)
