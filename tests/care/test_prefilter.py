"""A pattern is never left out of a text that it is found in."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from care import lexicon
from care.normalise import normalise
from care.prefilter import Prefiltered, prefiltered

ROOT = Path(__file__).parents[2]


def shipped() -> list[Prefiltered]:
    """Every pattern that is tried on messages, but for the few that are tried on all."""
    risk, identity, answers = lexicon.load("risk"), lexicon.load("identity"), lexicon.load("answers")
    written = [lexicon.expand(rule["pattern"], risk["words"]) for rule in risk["rule"]]
    written += [lexicon.expand(way, identity["words"]) for one in identity["question"] for way in one["patterns"]]
    written += [*answers["tells"].values(), *answers["answers"].values()]
    written += [one["written"] for one in lexicon.load("spelling")["disguise"]]
    return [prefiltered(re.compile(pattern)) for pattern in written]


PATTERNS = shipped()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_a_pattern_fits_holds_what_it_needs(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(PATTERNS))
    around = st.text("我想去死了 。", max_size=3)
    text = data.draw(around) + data.draw(st.from_regex(one.pattern)) + data.draw(around)
    if one.pattern.search(text):
        assert one.may_be_in(frozenset(text))


def test_nothing_that_people_say_is_left_out() -> None:
    said = (ROOT / "bench/conversations.jsonl").read_text().splitlines()
    texts = [normalise(line) for whole in said for line in json.dumps(json.loads(whole), ensure_ascii=False).split('"')]
    for one in PATTERNS:
        assert [text for text in texts if one.pattern.search(text) and not one.may_be_in(frozenset(text))] == []


@pytest.mark.parametrize(
    ("written", "needs"),
    [
        ("ab?c", ["a", "c"]),
        ("(?:ab|cd)e", ["ac", "e"]),
        ("[xy]|z", ["xyz"]),
        ("(?<=q)r(?!s)t{0,2}u{2}", ["q", "r", "u"]),
        (r"\d[^a]..", []),
        ("(?i)a", []),
        ("a|b?", []),
    ],
)
def test_needs_are_read_from_the_tree(written: str, needs: list[str]) -> None:
    assert sorted("".join(sorted(need)) for need in prefiltered(re.compile(written)).needs) == needs
