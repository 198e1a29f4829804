"""Pictures, voice and files in a transcript: seen by who reads it, run by nobody, saved on the record."""

import re
from dataclasses import replace
from uuid import UUID

import pytest

from care import texts
from console import transcript_tokens
from dialogue.admin import audit, takeover
from dialogue.admin.office import Actor, Office
from dialogue.core import media, people
from dialogue.core.content_types import content_type_of
from dialogue.messages import MediumOffer
from dialogue.states import MediumKind, MediumLoss, Role
from tests.builders import CHANNEL, message
from tests.console.conftest import Browser, House

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
OFFER = MediumOffer(kind=MediumKind.IMAGE, reference="file-1", mark="u1", name="照片<1>.jpg")


@pytest.fixture
def place(house: House) -> str:
    return f"/conversations/{house.rooms.heard('你好').conversation_id}"


def conversation_of(place: str) -> UUID:
    return UUID(place.rpartition("/")[2])


def shown(house: House, place: str, content: bytes = JPEG, offer: MediumOffer = OFFER) -> UUID:
    """Somebody holds the conversation, and a picture was fetched for them."""
    rooms, conversation_id = house.rooms, conversation_of(place)
    office = Office(keys=rooms.keys, texts=texts.load("zh"), admins=())
    picture = message("", external_id=offer.mark)
    with rooms.database.begin() as session:
        takeover.take_over(session, office, conversation_id, by=Actor(name="console:lin"), now=rooms.clock())
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=picture.user_id, now=rooms.clock())
        media.want(session, person, conversation_id, picture, offer, max_bytes=20_000_000, now=rooms.clock())
        (wanted,) = media.claim(session, rooms.keys, CHANNEL, limit=1, lease_seconds=60, now=rooms.clock())
        media.write_chunk(session, wanted, 0, content)
        kind = content_type_of(content)
        media.keep(session, wanted, size=len(content), content_type=kind, now=rooms.clock())
    return wanted.id


def opened(browser: Browser, place: str) -> str:
    page = browser.post(f"{place}/transcript")
    assert page.status_code == 200
    return page.text


def source(page: str, attribute: str = "src") -> str:
    found = re.search(rf'{attribute}="(/conversations/[^"]+/media/[^"]+)"', page)
    assert found is not None, page
    return found[1].replace("&amp;", "&")


def test_a_picture_is_shown_in_the_transcript_that_is_open(house: House, place: str) -> None:
    shown(house, place)
    browser = house.browser(Role.COUNSELLOR)
    page = opened(browser, place)
    assert "照片&lt;1&gt;.jpg" in page
    picture = browser.get(source(page))
    assert (picture.status_code, picture.content) == (200, JPEG)
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert picture.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert picture.headers["cache-control"] == "no-store"
    assert picture.headers["content-disposition"].startswith("inline; filename*=UTF-8''")


def test_what_a_browser_would_run_is_only_offered_as_a_file(house: House, place: str) -> None:
    shown(house, place, SVG, replace(OFFER, name="picture.svg"))
    browser = house.browser(Role.COUNSELLOR)
    page = opened(browser, place)
    assert '<img src="/conversations/' not in page
    file = browser.get(source(page, "href").removesuffix("&save=1"))
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment;")


def test_only_who_reads_the_conversation_now_sees_it(house: House, place: str) -> None:
    shown(house, place)
    reader = house.browser(Role.COUNSELLOR)
    path = source(opened(reader, place))
    assert reader.get(path.partition("?")[0]).status_code == 403
    assert house.browser(Role.ADMIN).get(path).status_code == 403  # their own sitting is not this one
    assert house.browser(Role.VIEWER).get(path).status_code == 403
    assert house.browser().get(path).status_code == 303
    other = house.rooms.heard("我也在", who="小李").conversation_id
    elsewhere = source(opened(reader, place)).replace(str(conversation_of(place)), str(other))
    assert reader.get(elsewhere).status_code == 403
    house.clock.tick(transcript_tokens.LONGEST.total_seconds() + 1)
    assert reader.get(path).status_code in {303, 403}


def test_saving_it_is_an_entry_of_the_audit_and_seeing_it_is_none(house: House, place: str) -> None:
    shown(house, place)
    browser = house.browser(Role.COUNSELLOR)
    page = opened(browser, place)
    browser.get(source(page))
    with house.services.database.read() as session:
        assert audit.entries(session, action="save_medium") == []
    saved = browser.get(source(page, "href"))
    assert saved.headers["content-disposition"].startswith("attachment;")
    with house.services.database.read() as session:
        (entry,) = audit.entries(session, action="save_medium", conversation_id=conversation_of(place))
    assert entry.actor == "console:lin"
    assert "另存了一张图片" in house.browser(Role.ADMIN).get("/audit").text


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-", 206, JPEG),
        ("bytes=4-9", 206, JPEG[4:10]),
        ("bytes=-5", 206, JPEG[-5:]),
        ("bytes=5-99999", 206, JPEG[5:]),
        ("bytes=99999-", 416, b""),
        ("bytes=1-2,4-5", 200, JPEG),
        ("pages=1-2", 200, JPEG),
        ("bytes=-", 200, JPEG),
    ],
)
def test_a_player_may_ask_for_a_part(house: House, place: str, wanted: str, status: int, content: bytes) -> None:
    shown(house, place)
    browser = house.browser(Role.COUNSELLOR)
    path = source(opened(browser, place))
    browser.headers["range"] = wanted
    part = browser.get(path)
    assert (part.status_code, part.content) == (status, content)
    if status == 206:
        assert part.headers["content-range"].endswith(f"/{len(JPEG)}")


def test_voice_is_played(house: House, place: str) -> None:
    shown(house, place, b"OggS\x00\x02voice", MediumOffer(kind=MediumKind.VOICE, reference="v", mark="v"))
    page = opened(house.browser(Role.COUNSELLOR), place)
    assert "<audio" in page
    assert "media-src 'self'" in house.browser(Role.COUNSELLOR).get(place).headers["content-security-policy"]


def test_a_page_that_is_open_learns_what_came_and_what_could_not_be_fetched(house: House, place: str) -> None:
    browser, rooms = house.browser(Role.COUNSELLOR), house.rooms
    page = opened(browser, place)
    mark = browser.get(f"{place}/pulse").json()["mark"]
    shown(house, place)
    assert browser.get(f"{place}/pulse").json()["mark"] != mark
    sitting = re.search(r'name="sitting" value="([^"]+)"', page)
    assert sitting is not None
    words = browser.post(f"{place}/words", sitting=sitting[1])
    assert browser.get(source(words.text)).content == JPEG
    large = replace(OFFER, mark="u2", size=10**9)
    with rooms.database.begin() as session:
        picture = message("", external_id="u2")
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=picture.user_id, now=rooms.clock())
        lost = media.want(session, person, conversation_of(place), picture, large, max_bytes=1, now=rooms.clock())
    assert lost is not None
    assert lost.loss is MediumLoss.TOO_LARGE
    assert "太大，没有取回；原件还在对方的应用里" in browser.post(f"{place}/words", sitting=sitting[1]).text


def test_on_paper_it_is_named(house: House, place: str) -> None:
    shown(house, place)
    page = house.browser(Role.COUNSELLOR).post(f"{place}/print", reason="转介").text
    assert "图片 “照片&lt;1&gt;.jpg”" in page
    assert "/media/" not in page


def test_what_is_gone_is_not_found(house: House, place: str) -> None:
    medium_id = shown(house, place)
    browser = house.browser(Role.COUNSELLOR)
    path = source(opened(browser, place))
    assert browser.get(path.replace(str(medium_id), str(UUID(int=1)))).status_code == 404
    assert browser.get(path.replace(str(medium_id), "nothing")).status_code == 404
