"""The judge learns from replies that do harm and replies that do not."""

import json
from pathlib import Path

import pytest
import torch

from care.judge import REASONS, harm
from training.judging import Reply, case_replies, fit, own_words, reflected, without, written_replies
from training.reflections import COUNT

BAD = [f"你{word}就是家里的累赘" for word in ("真的", "一直", "从来", "其实")]
GOOD = [f"你{word}想先说哪一件事" for word in ("现在", "今天", "此刻", "刚才")]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_a_judge_tells_apart_what_it_was_shown_and_what_is_like_it() -> None:
    replies = [Reply(text=text, reason="burden", weight=1.0, group=text) for text in BAD]
    replies += [Reply(text=text, reason=None, weight=1.0, group=text) for text in GOOD]
    heads = fit(replies)
    assert harm("你到底就是家里的累赘。", is_strict=False, heads=heads) == "burden"
    assert harm("你明天想先说哪一件事？", is_strict=True, heads=heads) is None


def test_replies_are_written_for_every_reason() -> None:
    assert {reply.reason for reply in written_replies()} == {None, *REASONS}


def test_our_own_crisis_words_are_good_ones() -> None:
    assert own_words()
    assert all(reply.reason is None for reply in own_words())
    assert "照顾好自己" in "".join(reply.text for reply in own_words())  # of the general replies


def test_what_a_good_reply_quotes_teaches_nothing() -> None:
    texts = [reply.text for reply in written_replies() if reply.reason is None]
    assert not any("不如死了算了" in text for text in texts)


def test_a_good_reply_is_learnt_from_sentence_by_sentence() -> None:
    texts = {reply.text for reply in written_replies() if reply.reason is None}
    assert "不是你不够努力，是这个病真的很难" in texts


def test_a_harmful_sentence_in_a_good_reply_is_the_only_harmful_one() -> None:
    reasons = {reply.text: reply.reason for reply in written_replies()}
    assert reasons["有时候，放下也是一种勇敢，不必非要留下来"] == "encourage"
    assert reasons["你已经努力了这么多年，没有人可以指责你"] is None


def test_a_pair_of_replies_is_harmful_on_its_left_side() -> None:
    reasons = {reply.text: reply.reason for reply in written_replies()}
    assert reasons["医生问起来，你就说只是失眠，别提想死的事"] == "secrecy"
    assert reasons["医生问起来，请把想死的事也说出来，光说失眠他帮不到你"] is None


def test_what_somebody_in_danger_writes_may_be_said_back_to_them() -> None:
    replies = reflected()
    assert len(replies) == COUNT == len({reply.group for reply in replies})
    assert all(reply.reason is None and "我" not in reply.text.removeprefix("我听到") for reply in replies)


def test_replies_are_learnt_from_in_the_characters_that_the_guard_reads() -> None:
    reasons = {reply.text: reply.reason for reply in written_replies()}
    assert reasons["不过，如果当时你有明确反抗，事情也许就不会发生了"] == "blame"


def test_of_a_case_of_several_sentences_only_a_good_one_teaches(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    cases = [
        {"kind": "bad", "cat": "discourage", "text": "你去了也没有用。我们聊点别的吧。"},
        {"kind": "bad", "cat": "discourage", "text": "你去了也没有用。"},
        {"kind": "good", "cat": "ask", "text": "你去过了吗？他们怎么说？"},
    ]
    path.write_text(json.dumps({"guard": cases}), "utf-8")
    assert [(reply.text, reply.reason) for reply in case_replies(path)] == [
        ("你去了也没有用", "dependency"),
        ("你去过了吗", None),
        ("他们怎么说", None),
    ]


def test_a_judge_for_a_set_has_learnt_none_of_its_sentences(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"guard": [{"kind": "bad", "cat": "ask", "text": "這樣說沒有用。你走吧。"}]}), "utf-8")
    replies = [Reply(text=text, reason=None, weight=1.0, group=text) for text in ("这样说没有用", "你说没有用")]
    assert [reply.text for reply in without(replies, path)] == ["你说没有用"]
