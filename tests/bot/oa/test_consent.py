"""Who follows reads the notice at once, which costs nothing, and says yes by a choice or in words."""

from functools import partial

import pytest

from bot.channels.oa.consent_menu import ConsentMenu
from bot.services import BotServices
from care import languages, texts
from care.texts import Texts
from tests.bot.contract.model import Model
from tests.bot.oa.clinic import PERSON, OaClinic
from tests.bot.oa.loopback import OfficialAccount
from tests.patience import until


@pytest.fixture
def asks_consent() -> bool:
    return True


async def test_who_follows_is_asked_in_the_answer_to_the_event(
    clinic: OaClinic, account: OfficialAccount, model: Model, services: BotServices
) -> None:
    await clinic.opens()
    account.follow(PERSON, label="library-poster")
    await until(lambda: len(clinic.told()) == 1)
    (asked,) = account.seen(PERSON)
    assert asked.is_passive
    assert services.inbox.rules.gate.notice.text in asked.text
    account.say(PERSON, "同意")
    await until(lambda: len(clinic.told()) == 2)
    account.say(PERSON, "我睡不着")
    await until(lambda: any("收到：我睡不着" in text for text in clinic.told()))


async def test_the_same_follow_told_three_times_is_answered_once(clinic: OaClinic, account: OfficialAccount) -> None:
    account.nastiness.parallel_every = 1
    await clinic.opens()
    account.follow(PERSON)
    await until(lambda: len(account.acknowledged) == 1)
    assert len(clinic.told()) == 1


@pytest.mark.parametrize("has_menus", [True, False])
async def test_whoever_writes_first_is_asked_with_choices_where_the_account_has_them(
    clinic: OaClinic, account: OfficialAccount, model: Model, *, has_menus: bool
) -> None:
    account.has_menus = has_menus
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: len(clinic.told()) == 1)
    (asked,) = account.seen(PERSON)
    assert bool(asked.choices) == has_menus
    if has_menus:
        assert asked.choices[0].startswith("同意")
        account.choose(PERSON, 0)
    else:
        account.say(PERSON, "同意")
    await until(lambda: any("收到：我睡不着" in text for text in clinic.told()))


async def test_a_no_that_was_chosen_is_heard(clinic: OaClinic, account: OfficialAccount, model: Model) -> None:
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: len(clinic.told()) == 1)
    account.choose(PERSON, 3)
    await until(lambda: len(clinic.told()) == 2)
    assert not any("收到" in text for text in clinic.told())


def test_a_choice_is_understood_in_every_language_and_costly_ones_are_asked_last() -> None:
    """The traditional texts take 40 MB, which an adapter does not spend before somebody needs them."""
    asked: list[str] = []

    def in_language(language: str) -> Texts:
        asked.append(language)
        return languages.spoken(texts.load("zh"), language)

    others = (partial(in_language, language) for language in (languages.ENGLISH, languages.TRADITIONAL))
    menu = ConsentMenu(texts.load("zh"), *others)
    choices = {
        language: [item["content"] for item in ConsentMenu(in_language(language)).made("")["list"]]
        for language in (languages.SIMPLIFIED, languages.ENGLISH, languages.TRADITIONAL)
    }
    asked.clear()
    answers = [menu.answer(words) for words in choices[languages.SIMPLIFIED]]
    assert [answer is not None and answer.agrees for answer in answers] == [True, True, None, False]
    assert asked == []
    assert [menu.answer(words) for words in choices[languages.ENGLISH]] == answers
    assert languages.TRADITIONAL not in asked
    assert [menu.answer(words) for words in choices[languages.TRADITIONAL]] == answers
    assert menu.answer("好") is None
