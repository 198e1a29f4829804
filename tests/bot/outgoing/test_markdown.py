"""Markdown in a model's reply is rendered or taken out, and nothing else is touched."""

from uuid import uuid4

import pytest

from bot.outgoing.markdown import PlainWords, plain, plain_so_far, render
from dialogue.messages import Address, OwedText
from dialogue.states import DeliveryKind
from dialogue.storage.ids import new_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("### 建议\n\n**深呼吸**，慢慢来。", "建议\n\n深呼吸，慢慢来。"),
        ("**深呼吸**", "深呼吸"),
        ("试试*慢慢*呼吸。", "试试慢慢呼吸。"),
        ("试试 *慢慢* 呼吸。", "试试 慢慢 呼吸。"),
        ("1. **写下来**\n2. 说出来", "1. 写下来\n2. 说出来"),
        ("* 写下来\n* 说出来", "• 写下来\n• 说出来"),
        ("看 [这里](https://a.example/b) 吧", "看 这里 (https://a.example/b) 吧"),
        ("`呼吸`一下", "呼吸一下"),
        ("> 你说过的话\n\n我记得。", "你说过的话\n\n我记得。"),
        ("我在听。<br>慢慢来。<br/>\n不急。", "我在听。\n慢慢来。\n不急。"),
        ("<p>我在听。</p><p>慢慢来。</p>", "我在听。\n慢慢来。"),
        ('<span style="color: red">我在</span><b>听</b>&nbsp;&amp; 等', "我在听\xa0& 等"),
        ("<ul><li>写下来</li><li>说出来</li></ul>", "写下来\n说出来"),
    ],
)
def test_markup_is_taken_out_and_the_words_stay(text: str, words: str) -> None:
    assert plain(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "我在听。\n你愿意说说吗？",
        "3 * 4 * 5，a_b_c，x > y，2 < 3",
        "- 写下来\n- 说出来",
        "#难过 的时候",
        "（1）写下来；（2）说出来",
        "第一行\n第二行\n\n\n第三段",
        "12356、120",
        "1 < 2，3 > 2，<3，<今天>，a&b，&amp",
    ],
)
def test_what_is_no_markdown_stays_as_it_is(text: str) -> None:
    assert render(text).text == text
    assert render(text).styles == ()


def test_styles_are_counted_in_units_of_utf_16() -> None:
    rendered = render("😀 **深呼吸**")
    assert rendered.text == "😀 深呼吸"
    (style,) = rendered.styles
    assert (style.kind, style.offset, style.length) == ("bold", 3, 3)


def test_while_a_reply_grows_unfinished_markup_waits() -> None:
    text = "### 建议\n**深呼吸**\n慢慢来"
    seen = [plain_so_far(text[:length]) for length in range(len(text) + 1)]
    assert not any(mark in shown for shown in seen for mark in "#*")
    assert seen[-1] == "建议\n深呼吸\n慢慢来"


class Recorder:
    name = "test"

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, text: OwedText) -> str | None:
        self.sent.append(text.text)
        return None


def owed(kind: DeliveryKind, text: str) -> OwedText:
    return OwedText(
        id=new_id(),
        address=Address(channel="test", chat_id="1"),
        kind=kind,
        text=text,
        turn_id=uuid4(),
        part=0,
        attempt=1,
        is_last=True,
        placeholder_id=None,
    )


async def test_only_the_models_words_lose_their_markup() -> None:
    recorder = Recorder()
    sender = PlainWords(recorder)
    for kind in (DeliveryKind.REPLY, DeliveryKind.HUMAN, DeliveryKind.CRISIS):
        await sender.send(owed(kind, "**12356**"))
    assert recorder.sent == ["12356", "**12356**", "**12356**"]
