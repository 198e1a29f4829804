"""What we say in danger: complete, honest, never a copy of what was just said, and always a next word."""

import re
import tomllib
from importlib.resources import files
from itertools import pairwise
from string import Formatter
from typing import Any

import pytest

from care.guard import guard
from care.hotlines import directory, regions
from care.screening import Route, Tier
from care.scripts import Says, Script, Voice, for_minor, on_easing, on_return, respond

LOCALES = ("zh", "en")
DANGERS = [
    (route, tier) for route in (Route.SELF, Route.THIRD_PARTY, Route.HARM_TO_OTHERS, Route.ABUSE) for tier in Tier
]


def voice(locale: str = "zh", region: str = "cn") -> Voice:
    return Voice(locale=locale, directory=directory(region))


def entries(locale: str) -> list[dict[str, Any]]:
    document = (files("care.scripts") / f"{locale}.toml").read_text("utf-8")
    return list(tomllib.loads(document)["script"])


def conversation(tier: Tier, route: Route, length: int, *, locale: str = "zh") -> list[Script]:
    scripts: list[Script] = []
    for _ in range(length):
        script = respond(tier=tier, route=route, said=[script.key for script in scripts], voice=voice(locale))
        assert script is not None
        scripts.append(script)
    return scripts


def test_both_languages_have_the_same_steps_and_as_many_wordings() -> None:
    def shape(locale: str) -> list[tuple[Any, ...]]:
        return [(e["route"], e["tier"], e["step"], e["says"], len(e["variants"])) for e in entries(locale)]

    assert shape("zh") == shape("en")


@pytest.mark.parametrize("region", regions())
@pytest.mark.parametrize("locale", LOCALES)
def test_every_wording_can_be_filled_in_every_region(locale: str, region: str) -> None:
    fillings = directory(region).fillings(locale)
    for entry in entries(locale):
        for variant in entry["variants"]:
            names = {name for _, name, _, _ in Formatter().parse(variant) if name}
            assert names <= fillings.keys()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("route", [Route.SELF, Route.THIRD_PARTY, Route.HARM_TO_OTHERS, Route.ABUSE])
def test_at_tier_three_there_is_always_a_next_word_and_never_the_same_twice_running(route: Route, locale: str) -> None:
    texts = [script.text for script in conversation(Tier.ACUTE, route, 40, locale=locale)]
    assert all(one != other for one, other in pairwise(texts))


def test_at_tier_three_the_model_is_bypassed() -> None:
    assert {script.says for script in conversation(Tier.ACUTE, Route.SELF, 20)} == {Says.INSTEAD}


def test_the_first_fifteen_words_at_tier_three_are_all_different() -> None:
    keys = [script.key for script in conversation(Tier.ACUTE, Route.SELF, 15)]
    assert len(set(keys)) == 15


def test_the_first_word_at_tier_three_says_whom_to_call_that_we_are_a_program_and_asks() -> None:
    for entry in entries("zh"):
        if (entry["route"], entry["tier"], entry["step"]) == ("self", 3, "opening"):
            for variant in entry["variants"]:
                assert "{emergency}" in variant
                assert "急诊" in variant
                assert "我是程序（AI）" in variant
                assert variant.rstrip().endswith("？")


def test_a_conversation_at_tier_three_covers_what_the_rubric_asks_for() -> None:
    scripts = conversation(Tier.ACUTE, Route.SELF, 7)
    steps = [script.key.split(".")[2] for script in scripts]
    assert steps == ["opening", "distance", "someone", "numbers", "intensity", "grounding", "next_hour"]
    said = "\n".join(script.text for script in scripts)
    assert all(needed in said for needed in ("120", "110", "12356", "010-82951332", "急诊", "程序（AI）"))


def test_something_being_done_right_now_comes_first() -> None:
    script = respond(tier=Tier.ACUTE, route=Route.SELF, said=(), voice=voice(), urgent=True)
    assert script is not None
    assert "in_progress" in script.key
    assert "120" in script.text


def test_the_first_word_at_tier_two_asks_directly_for_plan_means_and_time() -> None:
    for entry in entries("zh"):
        if (entry["route"], entry["tier"], entry["step"]) == ("self", 2, "opening"):
            assert entry["says"] == "before"
            for variant in entry["variants"]:
                assert "{helplines}" in variant
                assert "我是程序（AI）" in variant
                assert "时间" in variant or "什么时候" in variant


def test_tier_one_asks_gently_after_the_model_has_answered() -> None:
    script = respond(tier=Tier.DISTRESS, route=Route.SELF, said=(), voice=voice())
    assert script is not None
    assert script.says is Says.AFTER
    assert "12356" in script.text


@pytest.mark.parametrize("locale", LOCALES)
def test_our_own_words_pass_our_own_guard(locale: str) -> None:
    own = guard(directory())
    for entry in entries(locale):
        for variant in entry["variants"]:
            text = variant.format(**directory().fillings(locale))
            assert own.judge(text, is_finished=True).blocked is None, text


@pytest.mark.parametrize(
    "phrase", ["傻事", "想不开吧", "答应我", "自私", "对得起", "不会吧", "你不会", "向我保证", "承诺"]
)
def test_nothing_shames_extracts_a_promise_or_leads_to_a_no(phrase: str) -> None:
    assert not any(phrase in variant for entry in entries("zh") for variant in entry["variants"])


@pytest.mark.parametrize("entry", entries("zh"), ids=lambda entry: f"{entry['route']}.{entry['tier']}.{entry['step']}")
def test_no_wording_is_a_wall_of_text(entry: dict[str, Any]) -> None:
    assert all(len(variant) <= 260 for variant in entry["variants"])


@pytest.mark.parametrize(("route", "tier"), DANGERS)
def test_a_route_speaks_at_every_tier_that_its_rules_can_reach(route: Route, tier: Tier) -> None:
    script = respond(tier=tier, route=route, said=(), voice=voice())
    assert (script is None) == (tier is Tier.NONE)


def test_minors_are_told_once_a_conversation_to_turn_to_an_adult() -> None:
    first = for_minor(tier=Tier.ACUTE, said=(), voice=voice())
    assert first is not None
    assert "大人" in first.text
    assert for_minor(tier=Tier.ACUTE, said=(first.key,), voice=voice()) is None


def test_after_a_silence_and_on_easing_we_speak_at_the_tiers_that_need_it() -> None:
    assert on_return(tier=Tier.ACUTE, said=(), voice=voice()) is not None
    assert on_return(tier=Tier.ACTIVE, said=(), voice=voice()) is not None
    assert on_easing(tier=Tier.ACTIVE, said=(), voice=voice()) is not None


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_first_words_to_somebody_in_danger_name_a_number(locale: str) -> None:
    spoken = Voice(locale=locale, directory=directory("cn"))
    for route in (route for route in Route if route not in {Route.NONE, Route.MINOR}):
        for tier in (Tier.DISTRESS, Tier.ACTIVE, Tier.ACUTE):
            for said in ((), ("",), ("", "")):  # each wording
                script = respond(tier=tier, route=route, said=said, voice=spoken)
                assert script is not None, (route, tier)
                assert re.search(r"120|110|12356|12338", script.text), script.text


def test_whoever_writes_traditional_characters_is_answered_in_them() -> None:
    spoken = Voice(locale="zh", directory=directory("tw"), is_traditional=True)
    script = respond(tier=Tier.ACUTE, route=Route.SELF, said=(), voice=spoken)
    assert script is not None
    assert "119" in script.text
    assert "請" in script.text
    assert "请" not in script.text
    assert "程式（AI）" in script.text
