"""What a WeChat text says: quotes, mentions, markup."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from bot.channels.wechat import reading, speech
from bot.channels.wechat.reading import Account, Form, Said
from care.screening import Tier, screen
from dialogue.core import commands
from dialogue.core.commands import Command

DASHES = "- - - - - - - - - - - - - - -"


def own(text: str) -> str:
    return speech.read(text, is_room=False, account_name="心理支持").own


@pytest.mark.parametrize("dashes", ["- - -", DASHES, "——————"])
def test_a_quote_of_the_bots_question_is_not_what_the_person_said(dashes: str) -> None:
    said = own(f"「心理支持：你有想自杀的念头吗？」\n{dashes}\n没有，我只是睡不着")
    assert said == "没有，我只是睡不着"
    assert screen(said).tier is Tier.NONE


def test_a_command_below_a_quote_is_obeyed() -> None:
    assert commands.parse(own(f"「心理支持：你好\n慢慢说」\n{DASHES}\n结束对话")) is Command.END


def test_words_in_corner_brackets_without_a_dashed_line_are_the_persons_own() -> None:
    text = "「我很累：真的」\n我想自杀"
    assert own(text) == text


def test_a_quote_as_wechat_sends_it_has_the_persons_words_in_its_title() -> None:
    text = (
        '<?xml version="1.0"?><msg><appmsg><title>没有 &amp; 我睡不着</title><type>57</type><refermsg>'
        "<displayname>心理支持</displayname><content>你有想自杀的念头吗？</content></refermsg></appmsg></msg>"
    )
    assert own(text) == "没有 & 我睡不着"


def test_in_a_room_a_quote_of_somebody_else_is_kept_apart_and_that_of_the_bot_is_not() -> None:
    theirs = speech.read(f"「小李：我很难过」\n{DASHES}\n怎么劝她", is_room=True, account_name="助手")
    assert (theirs.own, theirs.quoted) == ("怎么劝她", "我很难过")
    ours = speech.read(f"「助手：我在听」\n{DASHES}\n谢谢", is_room=True, account_name="助手")
    assert (ours.own, ours.quoted) == ("谢谢", "")


def test_markup_of_the_web_client_is_the_emoji_that_it_stands_for() -> None:
    assert own('难过<img class="emoji emoji1f622" text="_web" src="/x.gif" />') == "难过😢"
    assert own('<img class="emoji emoji1f1e81f1f3" text="_web" src="/x.gif"/>') == "🇨🇳"
    assert own('<img class="qqemoji qqemoji0" text="[微笑]_web" src="/x.gif"/>好<br/>的') == "[微笑]好\n的"


def _in_room(text: str, *, name: str, mention_ids: list[str] | None = None) -> str:
    payload = SimpleNamespace(
        id="m",
        text=text,
        timestamp=0,
        type=int(Form.TEXT),
        from_id="wxid_wang",
        room_id="1@chatroom",
        to_id="bot",
        mention_ids=mention_ids or [],
    )
    account = Account(id="bot", name=name)
    event = reading.read(
        cast("reading.Payload", payload), account, are_rooms_served=True, now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert isinstance(event, Said)
    return event.message.text


@pytest.mark.parametrize("end", ["\u2005", " "])
def test_a_bot_whose_name_has_a_space_is_mentioned_as_a_whole(end: str) -> None:
    assert _in_room(f"@Mind GLM{end}我很难过", name="Mind GLM") == "我很难过"


def test_an_address_and_somebody_elses_name_stay_in_the_words() -> None:
    assert _in_room("@助手\u2005写到 a@b.com 吧，@小李 也是", name="助手") == "写到 a@b.com 吧，@小李 也是"
    assert _in_room("@别名 一\u2005a@b.com ", name="助手", mention_ids=["bot"]) == "a@b.com "


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "<br/>"])
def test_a_quote_is_one_whatever_its_lines_end_with(line_end: str) -> None:
    text = line_end.join(("\u200b「心理支持：你有想自杀的念头吗？」", DASHES, "没有"))
    assert own(text) == "没有"


def test_elements_of_a_quote_may_have_attributes() -> None:
    assert own('<msg><title lang="zh">没有</title><refermsg><content>自杀</content></refermsg></msg>') == "没有"


def test_an_emoji_is_one_in_an_element_without_a_picture_too() -> None:
    assert own('<span class="emoji emoji1f622"></span>难过') == "😢难过"
