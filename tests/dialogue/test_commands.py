import pytest

from dialogue.commands import Command, parse


@pytest.mark.parametrize(
    "text", ["结束对话", " 结束对话 ", "结束对话。", "结束对话！！", "结束对话!", "“结束对话”", "\u3000结束对话…\n"]
)
def test_the_end_is_the_whole_message_whatever_surrounds_it(text: str) -> None:
    assert parse(text) is Command.END


@pytest.mark.parametrize("text", ["我想结束对话", "结束对话吧", "结束 对话", "结束", "不要结束对话。"])
def test_talking_about_the_end_is_not_the_end(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/start", Command.START),
        ("/start ref_42", Command.START),
        ("/START@mindglm_bot", Command.START),
        ("/help", Command.HELP),
        (" /reset\n", Command.RESET),
        ("/nonsense", Command.UNKNOWN),
        ("/etc", Command.UNKNOWN),
    ],
)
def test_slash_commands(text: str, command: Command) -> None:
    assert parse(text) is command


@pytest.mark.parametrize("text", ["/", "//", "/ help", "1/2", "/你好", "你好 /help", "/etc/passwd", "/-"])
def test_what_only_looks_like_a_command_is_said_to_the_model(text: str) -> None:
    assert parse(text) is None
