"""Pictures, voice and files of people whom somebody answers who is not on Telegram."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from bot.channels.telegram.media import offers_of
from bot.channels.telegram.updates import Account, Revised, Showed, read
from care import texts
from dialogue.admin import takeover
from dialogue.admin.office import Actor, Office
from dialogue.core import media
from dialogue.states import MediumKind, MediumLoss, MediumState
from dialogue.storage.clock import utc_now
from dialogue.tables import CONVERSATIONS, MEDIA
from tests.bot.telegram.clinic import Clinic
from tests.patience import wait_until

PERSON = 5001
OGG = b"OggS\x00" + bytes(range(256)) * 4000
JPEG = b"\xff\xd8\xff\xe0" + bytes(2000)


def file(name: str, **fields: Any) -> dict[str, Any]:
    return {"file_id": name, "file_unique_id": f"u-{name}", **fields}


def size(name: str, width: int) -> dict[str, Any]:
    return file(name, width=width, height=width)


@pytest.mark.parametrize(
    ("message", "offers"),
    [
        ({"photo": [size("s", 90), size("l", 900), size("m", 320)]}, [("l", MediumKind.IMAGE)]),
        ({"photo": [size("l", 900), size("s", 90)], "caption": "看"}, [("l", MediumKind.IMAGE)]),
        ({"voice": file("v", duration=3, mime_type="audio/ogg")}, [("v", MediumKind.VOICE)]),
        ({"audio": file("a", thumbnail=size("t", 90))}, [("a", MediumKind.VOICE)]),
        ({"video_note": file("n", length=240, thumbnail=size("t", 90))}, [("n", MediumKind.VIDEO)]),
        ({"animation": file("g", width=9, height=9, mime_type="video/mp4"), "document": file("g")}, [("g", "video")]),
        ({"document": file("d", file_name="信.pdf", thumb=size("t", 9))}, [("d", MediumKind.FILE)]),
        ({"video": file("w", width=9, height=9, cover=[size("c", 9)])}, [("w", MediumKind.VIDEO)]),
        (
            {"paid_media": {"paid_media": [{"photo": [size("p", 9), size("q", 99)]}, {"video": file("w", width=1)}]}},
            [("q", MediumKind.IMAGE), ("w", MediumKind.VIDEO)],
        ),
        ({"live_photo": {"photo": [size("p", 9)], "video": file("w")}}, [("p", "image"), ("w", "video")]),
        ({"location": {"latitude": "1.0", "longitude": 2.0}, "contact": {"user_id": 7}}, []),
        ({"location": {"latitude": 10**400, "longitude": 2.0}}, []),
        ({"location": {"latitude": float("nan"), "longitude": float("inf")}}, []),
        ({"voice": "x", "photo": [None, 7, {"file_id": 7}], "document": {"file_id": ""}}, []),
        ({"video": [[[[[[[file("deep")]]]]]]]}, []),
    ],
)
def test_what_could_be_fetched_of_a_message(message: dict[str, Any], offers: list[tuple[str, str]]) -> None:
    assert [(one.reference, one.kind) for one in offers_of(message)] == offers


def test_a_picture_that_takes_anothers_place_is_shown_and_one_that_stays_is_not_again() -> None:
    account = Account(id=42, username="bot")
    person, chat = {"id": 7, "is_bot": False}, {"id": 7, "type": "private"}
    message = {"message_id": 5, "date": 100, "from": person, "chat": chat, "photo": [size("p", 90)]}
    update = {"update_id": 1, "message": message}
    (shown,) = read(update, account, are_groups_served=False)
    edited = {
        "update_id": 2,
        "edited_message": {**message, "edit_date": 200, "caption": "看", "photo": [size("q", 90)]},
    }
    revised, again = read(edited, account, are_groups_served=False)
    assert isinstance(shown, Showed)
    assert isinstance(revised, Revised)
    assert isinstance(again, Showed)
    assert (again.message.external_id, again.message.sent_at) == (shown.message.external_id, shown.message.sent_at)
    assert again.message.media[0].mark == "u-q"
    assert again.message.text == ""


def test_a_place_and_a_contact_are_named_for_they_are_no_files() -> None:
    (place,) = offers_of({"location": {"latitude": 31.230416, "longitude": 121.473701}})
    (contact,) = offers_of({"contact": {"first_name": "王", "phone_number": "138"}})
    assert (place.reference, place.name) == ("", "📍 31.23042, 121.47370")
    assert (contact.reference, contact.name) == ("", "👤 王 138")


class Held:
    """A conversation of the clinic's that somebody at the console answers."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        clinic.telegram.write(PERSON, "你好")
        wait_until(lambda: any("收到" in text for text in clinic.telegram.texts(PERSON)), 20)
        with clinic.database.begin() as session:
            self.id: UUID = session.scalars(select(CONVERSATIONS.c.id)).one()
            office = Office(keys=clinic.keys, texts=texts.load("zh"), admins=())
            takeover.take_over(session, office, self.id, by=Actor(name="console:lin"), now=utc_now())

    def show(self, **fields: Any) -> None:
        self.clinic.telegram.message(PERSON, {"id": PERSON, "type": "private", "first_name": "人"}, **fields)

    def settled(self, count: int) -> list[Any]:
        """What was shown, once all of it is there or lost."""

        def rows() -> list[Any]:
            with self.clinic.database.read() as session:
                return list(session.execute(select(MEDIA).order_by(MEDIA.c.id)))

        wait_until(lambda: len(rows()) == count and all(row.state is not MediumState.WANTED for row in rows()), 20)
        return rows()

    def content(self, medium_id: UUID) -> bytes:
        with self.clinic.database.read() as session:
            return media.content(session, self.clinic.keys, medium_id)


def test_who_answers_at_the_console_gets_voice_and_each_picture_of_an_album(
    open_clinic: Callable[..., Clinic],
) -> None:
    clinic = open_clinic().open()
    clinic.telegram.files = {"v": OGG, "p1": JPEG + b"1", "p2": JPEG + b"2"}
    clinic.telegram.fault("getFile", 500)
    held = Held(clinic)
    held.show(voice=file("v"))
    held.show(photo=[size("p1", 90)], media_group_id="13")
    held.show(photo=[size("p2", 90)], media_group_id="13")
    rows = held.settled(3)
    assert [row.state for row in rows] == [MediumState.KEPT] * 3
    assert {held.content(row.id) for row in rows} == {OGG, JPEG + b"1", JPEG + b"2"}
    assert {row.content_type for row in rows} == {"audio/ogg", "image/jpeg"}
    wait_until(lambda: any("TA 能看到" in text for text in clinic.telegram.texts(PERSON)), 20)
    assert clinic.telegram.token not in clinic.logs()


def test_what_telegram_does_not_hand_out_is_said_to_be_so(open_clinic: Callable[..., Clinic]) -> None:
    clinic = open_clinic(MINDGLM_MEDIA_MAX_MB="1").open()
    clinic.telegram.files = {"big": OGG * 2}
    held = Held(clinic)
    held.show(voice=file("unknown"))
    held.show(document=file("large", file_name="信.pdf", file_size=1_000_001))
    held.show(document=file("big", file_name="长信.pdf"))
    losses = {row.loss for row in held.settled(3)}
    assert losses == {MediumLoss.GONE, MediumLoss.TOO_LARGE}
    wait_until(lambda: any("没能转到咨询师那里" in text for text in clinic.telegram.texts(PERSON)), 20)
    assert "信.pdf" not in clinic.logs()


def test_nothing_is_fetched_for_nobody(open_clinic: Callable[..., Clinic]) -> None:
    clinic = open_clinic().open()
    clinic.telegram.files = {"v": OGG}
    clinic.telegram.message(PERSON, {"id": PERSON, "type": "private", "first_name": "人"}, voice=file("v"))
    wait_until(lambda: any("只能看懂文字" in text for text in clinic.telegram.texts(PERSON)), 20)
    assert clinic.telegram.count("getFile") == 0


def test_texts_leave_while_a_file_takes_its_time(open_clinic: Callable[..., Clinic]) -> None:
    clinic = open_clinic().open()
    clinic.telegram.files = {"v": OGG}
    clinic.telegram.fault("getFile", "hold")
    held = Held(clinic)
    held.show(voice=file("v"))
    wait_until(lambda: clinic.telegram.count("getFile") == 1, 20)
    began = time.monotonic()
    clinic.telegram.write(PERSON + 1, "我睡不着")
    wait_until(lambda: any("收到：我睡不着" in text for text in clinic.telegram.texts(PERSON + 1)), 20)
    assert time.monotonic() - began < 20
