"""Who is under 14 is kept out, who is under 18 is protected; the age may be told at any time."""

from care.age import AgeBand
from tests.bot.practice import Practice


def test_under_14_there_are_resources_and_nothing_is_kept(practice: Practice) -> None:
    practice.say("我今年12岁，在学校没有人理我")
    practice.new_answers()
    practice.say("同意")
    (words,) = practice.new_answers()
    assert "12355" in words
    assert practice.stored_texts() == 0
    assert practice.say("可是我想和你说话，可以吗").turn_id is None
    assert practice.stored_texts() == 0
    practice.say("同意 15")
    assert practice.say("我睡不着").turn_id is not None


def test_an_age_told_later_in_the_talk_protects_from_then_on(practice: Practice) -> None:
    practice.agree()
    receipt = practice.say("我今年13岁，没有人理我")
    assert receipt.turn_id is None
    assert "12355" in practice.new_answers()[0]
    assert practice.person().age_band is AgeBand.CHILD


def test_an_age_given_by_mistake_is_mended_by_the_same_answer(practice: Practice) -> None:
    practice.agree()
    assert practice.say("同意 16").turn_id is None
    assert practice.words.say("disclosure_minor") in practice.new_answers()
    assert practice.person().age_band is AgeBand.MINOR
    practice.say("同意 20")
    assert practice.person().age_band is AgeBand.ADULT
    assert practice.say("同意").turn_id is not None  # now a word like any other


def test_a_guardians_consent_lets_a_child_in_under_the_rules_for_the_young(practice: Practice) -> None:
    practice.with_gate(serves_children=True)
    practice.say("我睡不着")
    practice.say("同意 12")
    assert practice.words.say("disclosure_minor") in practice.new_answers()
    assert practice.answer_all() == ["我睡不着"]
