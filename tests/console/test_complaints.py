"""Complaints: listed without a word of them, opened one by one, settled once; each step in the audit."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import update

from console.words import load
from dialogue.admin import audit
from dialogue.core import people
from dialogue.rights import complaints, erasure
from dialogue.states import ClosedBy, Role
from dialogue.tables import COMPLAINTS
from tests.builders import CHANNEL
from tests.console.conftest import NAMES, House

WORDS = "<b>回复</b>没有帮助"


def complain(house: House, text: str = WORDS, *, who: str = "小王") -> UUID:
    received = house.rooms.heard("你好", who=who)
    with house.services.database.begin() as session:
        person = people.locked(session, house.services.keys, channel=CHANNEL, user_id=who, now=house.clock())
        house.clock.tick(1)
        return complaints.make(session, person, text, conversation_id=received.conversation_id, now=house.clock())


def actions(house: House) -> list[tuple[str, str]]:
    with house.services.database.read() as session:
        entries = audit.entries(session)
    return [(entry.action, entry.actor) for entry in reversed(entries) if entry.action.startswith("complaint")]


def test_a_complaint_is_listed_opened_and_settled_and_every_step_is_audited(any_house: House) -> None:
    complaint_id, browser = complain(any_house), any_house.browser(Role.COUNSELLOR)
    listed = browser.get("/complaints").text
    assert f"/complaints/{complaint_id}/words" in listed
    assert "没有帮助" not in listed
    opened = browser.post(f"/complaints/{complaint_id}/words")
    assert "&lt;b&gt;回复&lt;/b&gt;没有帮助" in opened.text
    assert browser.post(f"/complaints/{complaint_id}/settle").headers["location"] == "/complaints?notice=settle"
    assert str(complaint_id) not in browser.get("/complaints").text
    settled = browser.get("/complaints?settled=1").text
    assert f"/complaints/{complaint_id}/words" in settled
    assert f"/complaints/{complaint_id}/settle" not in settled
    me = f"console:{NAMES[Role.COUNSELLOR]}"
    assert actions(any_house) == [(complaints.MADE, "person"), (complaints.READ, me), (complaints.SETTLED, me)]


def test_what_was_settled_is_not_settled_again_and_what_is_not_there_is_not_found(house: House) -> None:
    complaint_id, browser = complain(house), house.browser(Role.ADMIN)
    browser.post(f"/complaints/{complaint_id}/settle")
    again = browser.post(f"/complaints/{complaint_id}/settle")
    assert again.status_code == 409
    assert load()["zh"].say("error_settled") in again.text
    for doing in ("words", "settle"):
        assert browser.post(f"/complaints/{uuid4()}/{doing}").status_code == 404
        assert browser.post(f"/complaints/nothing/{doing}").status_code == 404
    assert len(actions(house)) == 2


def test_words_that_are_gone_are_said_to_be(house: House) -> None:
    complaint_id, browser = complain(house), house.browser(Role.COUNSELLOR)
    with house.services.database.begin() as session:
        person = people.locked(session, house.services.keys, channel=CHANNEL, user_id="小王", now=house.clock())
        erasure.erase(session, person.id, by=ClosedBy.PERSON, actor="person", farewell_to=None, now=house.clock())
    gone = load()["zh"].say("complaint_gone")
    assert gone in browser.get("/complaints").text
    assert gone in browser.post(f"/complaints/{complaint_id}/words").text


def test_pages_go_back_to_the_oldest(any_house: House) -> None:
    made = [complain(any_house, who=f"来访者{number % 7}") for number in range(60)]
    with any_house.services.database.begin() as session:
        session.execute(update(COMPLAINTS).where(COMPLAINTS.c.id.in_(made[:52])).values(settled_at=any_house.clock()))
    browser, found, path = any_house.browser(Role.COUNSELLOR), list[str](), "/complaints?settled=1"
    while path:
        page = browser.get(path).text
        found += re.findall(r'action="/complaints/([^/]+)/words"', page)
        older = re.search(r'href="(/complaints[^"]+)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert found == [str(each) for each in reversed(made[:52])]


def test_a_day_has_room_for_so_many_of_one_person(house: House) -> None:
    with house.services.database.begin() as session:
        person = people.locked(session, house.services.keys, channel=CHANNEL, user_id="小王", now=house.clock())
        other = people.locked(session, house.services.keys, channel=CHANNEL, user_id="小李", now=house.clock())
        began_at = house.clock()
        for _ in range(complaints.MAX_A_DAY):
            assert complaints.may_make(session, person, now=house.clock())
            complaints.make(session, person, WORDS, conversation_id=None, now=house.clock())
            house.clock.tick(60)
        assert not complaints.may_make(session, person, now=house.clock())
        assert complaints.may_make(session, other, now=house.clock())
        assert complaints.may_make(session, person, now=began_at + timedelta(days=1))
