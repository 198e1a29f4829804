import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue.core.commands import Command, argument, parse


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


@pytest.mark.parametrize(
    ("text", "command", "rest"),
    [
        ("/export", Command.EXPORT, ""),
        ("导出我的数据。", Command.EXPORT, ""),
        ("Export my data", Command.EXPORT, ""),
        ("/delete", Command.DELETE, ""),
        ("删除我的数据", Command.DELETE, ""),
        ("/delete confirm", Command.CONFIRM_DELETE, "confirm"),
        ("确认删除！", Command.CONFIRM_DELETE, ""),
        ("投诉：回复太慢\n真的", Command.COMPLAIN, "回复太慢\n真的"),
        ("投诉:", Command.COMPLAIN, ""),
        ("/complain@bot 太慢", Command.COMPLAIN, "太慢"),
        ("紧急联系人： 妈妈 138", Command.CONTACT, "妈妈 138"),
        ("/contact remove", Command.CONTACT, "remove"),
        ("emergency contact: mum", Command.CONTACT, "mum"),
    ],
)
def test_what_people_may_ask_for_is_asked_by_words_or_slashes(text: str, command: Command, rest: str) -> None:
    assert parse(text) is command
    assert argument(text) == rest


@pytest.mark.parametrize(
    "text", ["我想投诉我的老板", "投诉老板没有用", "我想删除我的数据", "他说：投诉", "帮助", "help"]
)
def test_talking_about_a_complaint_is_no_complaint(text: str) -> None:
    assert parse(text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_commands(text: str) -> None:
    parse(text)
    assert argument(text) in text


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("結束對話", Command.END),
        ("结束对话😊", Command.END),
        ("🙏 结束对话。。。👋🏽", Command.END),
        ("結 束 對 話", Command.END),
        ("End conversation!", Command.END),
        ("/end", Command.END),
        ("/stop", Command.END),
        ("/cancel", Command.END),
        ("／reset", Command.RESET),
        ("／ｒｅｓｅｔ", Command.RESET),
        ("/reset 😊", Command.RESET),
        ("/reset😊", Command.RESET),
        ("刪除我的資料", Command.DELETE),
        ("刪除我的數據", Command.DELETE),
        ("匯出我的資料", Command.EXPORT),
        ("導出我的數據", Command.EXPORT),
        ("確認刪除", Command.CONFIRM_DELETE),
        ("投訴", Command.COMPLAIN),
        ("我要投訴：太慢", Command.COMPLAIN),
        ("緊急聯絡人", Command.CONTACT),
        ("緊急聯繫人", Command.CONTACT),
        ("隱私說明", Command.PRIVACY),
        ("使用幫助", Command.HELP),
        ("使用說明", Command.HELP),
        ("撤回同意", Command.WITHDRAW),
        ("不同意用於改進", Command.SHARE_NO),
        ("ＥＸＰＯＲＴ　ＭＹ　ＤＡＴＡ", Command.EXPORT),
        ("emergency contact", Command.CONTACT),
        ("／結束對話！", Command.END),
        ("刪除我的所有資料", Command.DELETE),
        ("Delete all my data!", Command.DELETE),
        ("Delete my data, please", None),
        ("结束对话[再见][抱拳]", Command.END),
        ("／停止", Command.END),
        ("/结束", Command.END),
        ("匯出資料", Command.EXPORT),
        ("删除数据", Command.DELETE),
        ("complain: too slow", Command.COMPLAIN),
        ("End the chat", Command.END),
        ("end our conversation.", Command.END),
        ("結束這個對話", Command.END),
        ("退出会话", Command.END),
        ("结束对话^_^", Command.END),
        ("结束\u3164对话\U000e0020", Command.END),
        ("/結束對話@mind_bot", Command.END),
        ("@mind_bot 结束对话", Command.END),
        ("结束对话@mind_bot 🙏", Command.END),
        ("🙏/end@mind_bot", Command.END),
        ("謝謝你 @mind_bot", None),
        ("@mind_bot 我想结束", None),
        ("@小明 结束对话", None),
        ("delete all of my data", Command.DELETE),
        ("刪除我所有的資料", Command.DELETE),
        ("Export data", Command.EXPORT),
        ("匯出我所有的資料。", Command.EXPORT),
        ("Confirm deletion", Command.CONFIRM_DELETE),
        ("撤回我的同意", Command.WITHDRAW),
        ("Revoke my consent", Command.WITHDRAW),
        ("隱私政策", Command.PRIVACY),
        ("/重新開始", Command.RESET),
        ("/share 同意", Command.SHARE_YES),
        ("/share 不同意", Command.SHARE_NO),
        ("/complain：太慢", Command.COMPLAIN),
        ("/contact：妈妈", Command.CONTACT),
        ("contact: mum", None),
        ("/help: x", None),
        ("I want to end the chat", None),
        ("export the data of my company", None),
        ("please stop", None),
        ("请停止", None),
        ("我想结束", None),
        ("不要结束对话", None),
        ("结束对话我就去死", None),
        ("[流泪]我想死", None),
    ],
)
def test_a_command_is_obeyed_in_every_spelling(text: str, command: Command | None) -> None:
    assert parse(text) is command


def test_what_stands_behind_a_full_width_command_is_kept() -> None:
    assert argument("／ｃｏｍｐｌａｉｎ　太慢") == "太慢"
    assert argument("投訴：太慢") == "太慢"


@pytest.mark.parametrize(
    "text",
    [
        "STOP.",
        "stop 🙏",
        "／stop",
        "/stop@mindglm_bot！",
        "／ＥＮＤ＠mindglm_bot🙏",
        "停止",
        "停止對話。",
        "結束會話",
        "結束聊天😢",
    ],
)
def test_stop_is_the_end_in_every_spelling(text: str) -> None:
    assert parse(text) is Command.END


@pytest.mark.parametrize("text", ["停止吧我受不了", "please make it stop", "停不下来"])
def test_talking_about_stopping_is_not_the_end(text: str) -> None:
    assert parse(text) is None
