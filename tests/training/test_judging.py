"""The judge learns from replies that do harm and replies that do not."""

import pytest
import torch

from care.judge import REASONS, harm
from training.judging import Reply, fit, own_words, written_replies

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
