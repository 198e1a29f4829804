"""To be with one who died is a wish to die; to be with one who lives is a visit. The words are the same."""

import pytest

from care.joining import joins_the_dead, joins_the_living
from care.screening import Context, Tier, screen


@pytest.mark.parametrize(
    "said",
    [
        ("外婆上周走了", "想去陪她"),
        ("我妈去年走的", "好想她", "真想下去找她"),
        ("他上个月车祸去世了", "我想去找他"),
        ("我家狗狗昨天死了", "好想去陪它"),
        ("外公在医院躺了半年", "前天他没了", "就想跟着他去了"),
        ("我儿子没了 我想下去陪他",),
    ],
)
def test_whoever_wishes_to_follow_the_dead_is_in_danger(said: tuple[str, ...]) -> None:
    found = screen(said[-1], context=Context(recent=said[:-1]))
    assert found.tier >= Tier.ACTIVE


@pytest.mark.parametrize(
    "said",
    [
        ("外公住院了", "我想去陪他"),
        ("妈妈住院了，我想去陪她",),
        ("我妈一个人在老家", "我想去陪她"),
        ("外婆上周走了", "外公一个人在家", "我想去陪他"),
        ("奶奶走了三年，清明想去看看她",),
        ("外婆上周走了", "我不想去陪他"),
    ],
)
def test_a_visit_is_no_danger(said: tuple[str, ...]) -> None:
    assert screen(said[-1], context=Context(recent=said[:-1])).tier is Tier.NONE


def test_of_a_lover_who_left_nothing_is_taken_for_a_death() -> None:
    assert not joins_the_dead("我想去找她", "她昨天跟我吵架走了")
    assert not joins_the_living("我想去找她", "她昨天跟我吵架走了")


def test_a_film_is_told_without_danger() -> None:
    assert not joins_the_dead("电影里爷爷去世了,最后小孩想去陪他")
