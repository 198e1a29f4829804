"""Who may do what, from outside: a crawler follows every link and finds every form, for each role and state of a case.

What a role is shown works for it; what only higher roles are shown is refused to it, and changes nothing.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from dialogue.admin.cases import handling, open_cases
from dialogue.admin.cases.opening import open_case
from dialogue.admin.office import Actor, Office
from dialogue.rights import erasure
from dialogue.states import CaseKind, CaseOutcome, ClosedBy, Role
from tests.console.conftest import Browser, House
from tests.console.test_cases import alarm
from tests.console.test_gate import contents

LIN, OTHER = Actor(name="console:lin"), Actor(name="console:fang")
SECRET_WORDS = "谁也不许看见的话"
MAX_PAGES = 150


@dataclass
class Found:
    """What a crawl came by: the pages with their texts, and where forms are sent to."""

    pages: dict[str, str] = field(default_factory=dict)
    forms: set[str] = field(default_factory=set)


def crawl(browser: Browser, *, beginning: str = "/") -> Found:
    """Every page that can be reached by links; each must open."""
    found, ahead = Found(), [beginning]
    while ahead and len(found.pages) < MAX_PAGES:
        path = ahead.pop()
        if path in found.pages:
            continue
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        found.pages[path] = answer.text
        found.forms |= set(re.findall(r'<form method="post" action="([^"#]+)', answer.text))
        links = (html.unescape(link) for link in re.findall(r'href="(/[^"#]*)', answer.text))
        ahead += [link for link in links if not link.startswith(("/static/", "/figures.csv", "/sign-in"))]
    assert not ahead, "the crawl has no end"
    return found


def office(house: House) -> Office:
    return Office(keys=house.services.keys, texts=house.services.said_to_people)


def _unseen(_house: House, _case_id: UUID) -> None:
    """As it was opened."""


def _seen(house: House, case_id: UUID) -> None:
    with house.services.database.begin() as session:
        handling.see(session, case_id, by=OTHER, now=house.clock())


def _mine(house: House, case_id: UUID) -> None:
    with house.services.database.begin() as session:
        handling.take(session, case_id, by=LIN, now=house.clock())


def _anothers(house: House, case_id: UUID) -> None:
    with house.services.database.begin() as session:
        handling.take(session, case_id, by=OTHER, now=house.clock())


def _handed(house: House, case_id: UUID) -> None:
    _anothers(house, case_id)
    with house.services.database.begin() as session:
        handling.hand_to(session, office(house), case_id, to=LIN.name, note="", by=OTHER, now=house.clock())


def _closed(house: House, case_id: UUID) -> None:
    with house.services.database.begin() as session:
        close = {"outcome": CaseOutcome.SPOKE, "note": SECRET_WORDS, "by": OTHER, "now": house.clock()}
        handling.close(session, office(house), case_id, **close)  # type: ignore[arg-type] # of several types


def _erased(house: House, case_id: UUID) -> None:
    with house.services.database.begin() as session:
        case = open_cases.one(session, case_id)
        assert case is not None
        whom = {"by": ClosedBy.PERSON, "actor": "person", "farewell_to": None, "now": house.clock()}
        erasure.erase(session, case.person_id, **whom)  # type: ignore[arg-type] # of several types


def _about_an_admin(house: House, case_id: UUID) -> None:
    with house.services.database.begin() as session:
        case = open_cases.one(session, case_id)
        assert case is not None
        kind = CaseKind.UNREACHABLE_ADMIN
        whom = {"person_id": case.person_id, "conversation_id": None, "level": 2, "now": house.clock()}
        open_case(session, office(house), kind=kind, **whom)  # type: ignore[arg-type] # of several types


STATES: list[Callable[[House, UUID], None]] = [
    _unseen,
    _seen,
    _mine,
    _anothers,
    _handed,
    _closed,
    _erased,
    _about_an_admin,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__.strip("_"))
def test_what_a_role_is_shown_works_and_the_rest_is_refused(house: House, state: Callable[[House, UUID], None]) -> None:
    conversation_id = alarm(house)
    with house.services.database.read() as session:
        (case,) = open_cases.open_cases(session)
    state(house, case.id)
    browsers = {role: house.browser(role) for role in Role}
    found = {role: crawl(browser) for role, browser in browsers.items()}
    before = contents(house)
    assert f"/conversations/{conversation_id}" in found[Role.VIEWER].pages
    assert found[Role.VIEWER].forms < found[Role.COUNSELLOR].forms < found[Role.ADMIN].forms
    everything = found[Role.ADMIN].forms | found[Role.COUNSELLOR].forms
    for role, browser in browsers.items():
        for action in everything - found[role].forms:
            if _is_anybodys(action) or (role is not Role.VIEWER and action.startswith("/cases/")):  # theirs already
                continue
            status = browser.post(action, token=browser.token()).status_code
            assert status == 403, (role, action, status)
    stranger = house.browser()
    for action in everything:
        assert stranger.post(action, token="x").status_code in {401, 403}, action
    for path in found[Role.ADMIN].pages:
        assert stranger.get(path).status_code == 303, path
    assert contents(house) == before
    for role, crawled in found.items():
        for path, text in crawled.pages.items():
            assert SECRET_WORDS not in text or (role is not Role.VIEWER and path.startswith("/cases/")), (role, path)
    shown = "".join(found[Role.VIEWER].pages.values())
    assert ">小王<" not in shown  # who somebody is on the platform


def _is_anybodys(action: str) -> bool:
    """One's own session and views: shown to each according to what they have."""
    return action.startswith(("/account", "/views", "/sign-out", "/unlock"))
