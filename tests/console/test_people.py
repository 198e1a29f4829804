"""What a counsellor sees beside the words, and what the audit keeps of it."""

from uuid import UUID

import pytest
from sqlalchemy import select, update

from care.age import AgeBand
from dialogue.admin import audit
from dialogue.core import people
from dialogue.rights import emergency_contacts
from dialogue.states import Role
from dialogue.tables import CONVERSATIONS, PEOPLE, PERSON_NOTES
from tests.builders import CHANNEL
from tests.console.conftest import House
from tests.console.test_cases import alarm


def person_of(house: House, conversation_id: UUID) -> UUID:
    query = select(CONVERSATIONS.c.person_id).where(CONVERSATIONS.c.id == conversation_id)
    with house.services.database.read() as session:
        person_id: UUID = session.scalars(query).one()
    return person_id


def done(house: House, action: str) -> list[tuple[str, str | None]]:
    with house.services.database.read() as session:
        return [(one.actor, one.reason) for one in audit.entries(session, action=action)]


def test_age_consent_ratings_and_the_course_of_danger_stand_beside_the_words(any_house: House) -> None:
    house = any_house
    house.rooms.answered("第一次来", "你想先聊什么？我在听。")
    conversation_id = alarm(house)
    person_id = person_of(house, conversation_id)
    with house.services.database.begin() as session:
        session.execute(update(PEOPLE).values(age_band=AgeBand.MINOR, consented_at=house.clock()))
    page = house.browser(Role.COUNSELLOR).post(f"/conversations/{conversation_id}/transcript").text
    for words in ("未成年 · 14 至 17 岁", "已同意", "👍 0", "风险的变化", "三级", f'href="/people/{person_id}"'):
        assert words in page, words
    assert page.count("你想先聊什么？") == 3  # in the talk, what was last said, what was last asked


def test_the_emergency_contact_needs_a_reason_and_both_are_kept(house: House) -> None:
    person_id = person_of(house, alarm(house))
    with house.services.database.begin() as session:
        person = people.locked(session, house.services.keys, channel=CHANNEL, user_id="小王", now=house.clock())
        emergency_contacts.give(session, person, "妈妈 13800000000", now=house.clock())
    browser = house.browser(Role.COUNSELLOR)
    assert "13800000000" not in browser.get(f"/people/{person_id}").text
    assert browser.post(f"/people/{person_id}/contact", reason=" ").status_code == 422
    assert done(house, "contact_read") == []
    assert "13800000000" in browser.post(f"/people/{person_id}/contact", reason="联系家人").text
    assert done(house, "contact_read") == [("console:lin", "联系家人")]


def test_that_the_contact_was_called_is_noted_by_whom_and_why(house: House) -> None:
    person_id = person_of(house, alarm(house))
    browser = house.browser(Role.COUNSELLOR)
    assert (
        browser.post(f"/people/{person_id}/contact-told", reason="一小时没有回应").status_code == 422
    )  # none was given
    with house.services.database.begin() as session:
        person = people.locked(session, house.services.keys, channel=CHANNEL, user_id="小王", now=house.clock())
        emergency_contacts.give(session, person, "妈妈 13800000000", now=house.clock())
    assert f"/people/{person_id}/contact-told" in browser.post(f"/people/{person_id}/contact", reason="联系家人").text
    assert browser.post(f"/people/{person_id}/contact-told", reason=" ").status_code == 422
    assert done(house, "contact_told") == []
    noted = browser.post(f"/people/{person_id}/contact-told", reason="一小时没有回应")
    assert (noted.status_code, noted.headers["location"]) == (303, f"/people/{person_id}?notice=contact_told")
    assert done(house, "contact_told") == [("console:lin", "一小时没有回应")]


def test_notes_are_sealed_and_a_private_one_is_its_authors_only(house: House) -> None:
    person_id = person_of(house, alarm(house))
    house.hire("fang", Role.COUNSELLOR)
    lin, fang = house.browser(Role.COUNSELLOR), house.browser()
    fang.sign_in("fang")
    lin.post(f"/people/{person_id}/note", kind="private", text="只给自己看")
    assert "给下一班" in lin.post(f"/people/{person_id}/note", kind="handover", text="给下一班").text
    page = fang.post(f"/people/{person_id}/notes").text
    assert "给下一班" in page
    assert "只给自己看" not in page
    assert "给下一班" not in fang.get(f"/people/{person_id}").text
    assert lin.post(f"/people/{person_id}/note", kind="other", text="x").status_code == 422
    with house.services.database.read() as session:
        stored = b"".join(row.text for row in session.execute(select(PERSON_NOTES)))
    assert "给下一班".encode() not in stored
    lin.post(f"/people/{person_id}/note", kind="private", text="")
    assert "只给自己看" not in lin.post(f"/people/{person_id}/notes").text


def test_a_search_in_the_words_finds_both_sides_and_is_audited_without_what_was_looked_for(house: House) -> None:
    received = house.rooms.answered("我喜欢ＡＢＣ和猫", "猫叫什么名字？")
    person_id = person_of(house, received.conversation_id)
    browser = house.browser(Role.COUNSELLOR)
    page = browser.post(f"/people/{person_id}/search", words="猫").text
    assert "找到 2 处" in page
    assert "找到 1 处" in browser.post(f"/people/{person_id}/search", words="abc").text
    assert "没有找到" in browser.post(f"/people/{person_id}/search", words="狗").text
    assert done(house, "search") == [("console:lin", None)] * 3
    assert house.browser(Role.VIEWER).post(f"/people/{person_id}/search", words="猫").status_code == 403


def test_a_conversation_is_laid_out_for_a_referral_with_a_reason(house: House) -> None:
    received = house.rooms.answered("请帮我转介", "好的，我在听。")
    browser = house.browser(Role.COUNSELLOR)
    where = f"/conversations/{received.conversation_id}/print"
    assert browser.post(where).status_code == 422
    page = browser.post(where, reason="转介市立医院").text
    for words in ("请帮我转介", "好的，我在听。", "转介市立医院", "console:lin"):
        assert words in page
    assert "<form" not in page.partition("<main")[2]
    assert done(house, "print") == [("console:lin", "转介市立医院")]


@pytest.mark.parametrize("path", ["notes", "note", "contact", "search"])
def test_of_an_erased_person_nothing_is_left_to_open(house: House, path: str) -> None:
    person_id = person_of(house, alarm(house))
    with house.services.database.begin() as session:
        session.execute(update(PEOPLE).values(data_key=None, erased_at=house.clock()))
    browser = house.browser(Role.COUNSELLOR)
    answer = browser.post(f"/people/{person_id}/{path}", reason="x", words="x", kind="handover", text="x")
    assert answer.status_code in {200, 409}
    assert browser.get(f"/people/{person_id}").status_code == 200
    assert browser.get(f"/people/{UUID(int=3)}").status_code == 404


def test_the_figures_can_be_had_as_csv(house: House) -> None:
    alarm(house)
    house.services.gatherer.gather()
    answer = house.browser(Role.VIEWER).get("/figures.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    header, *rows = answer.text.splitlines()
    assert header.startswith("hour,turns_waiting,")
    assert len(rows) == 8 * 24
    assert rows[-1].endswith(",0,1")
    assert "+08:00" in rows[-1]
