"""What was fetched for a human on another platform goes to them as a file, where their platform takes one."""

import io
import zipfile
from uuid import UUID

import pytest

from bot.outgoing.courier import Courier
from bot.outgoing.late_texts import LateTextSender
from bot.services import BotServices
from dialogue.admin import takeover
from dialogue.admin.office import Actor
from dialogue.core import media, outbox, people
from dialogue.messages import Address, MediumOffer
from dialogue.states import DeliveryKind, MediumKind
from dialogue.storage.clock import utc_now
from tests.bot.outgoing.platforms import TakesAll
from tests.builders import CHANNEL, Rooms, message

ADMIN = Address(channel="elsewhere", chat_id="9001")
JPEG = b"\xff\xd8\xff\xe0" + bytes(500)


@pytest.fixture
def medium_id(services: BotServices) -> UUID:
    """A picture that was fetched, and is owed to whoever holds the conversation from elsewhere."""
    rooms, office, now = Rooms(services.database, services.keys), services.office, utc_now()
    rooms.clock.now = now
    conversation_id = rooms.heard("你好").conversation_id
    offer = MediumOffer(kind=MediumKind.IMAGE, reference="f", mark="u", name="窗台.jpg")
    with services.database.begin() as session:
        takeover.take_over(session, office, conversation_id, by=Actor.at(ADMIN), now=now)
        person = people.locked(session, services.keys, channel=CHANNEL, user_id=message().user_id, now=now)
        media.want(session, person, conversation_id, message("", external_id="s"), offer, max_bytes=10**6, now=now)
        (wanted,) = media.claim(session, services.keys, CHANNEL, limit=1, lease_seconds=60, now=now)
        media.write_chunk(session, wanted, 0, JPEG)
        media.keep(session, wanted, size=len(JPEG), content_type="image/jpeg", now=now)
        held = takeover.locked(session, office, conversation_id)
        takeover.show_kept(session, held, wanted.id, to=ADMIN, now=now)
    return wanted.id


async def delivered(
    services: BotServices, to: str = ADMIN.channel, *, has_files: bool = True, max_file_bytes: int = 10**6
) -> TakesAll:
    platform = TakesAll(to)
    send_files = platform.send_files if has_files else None
    sender = LateTextSender(platform, services.pen, send_files=send_files, max_file_bytes=max_file_bytes)
    courier = Courier(database=services.database, keys=services.keys, sender=sender)
    while await courier.deliver_due():
        pass
    return platform


async def test_it_comes_as_a_file_with_its_name(services: BotServices, medium_id: UUID) -> None:
    platform = await delivered(services)
    assert [(file.name, file.content) for file in platform.files] == [("窗台.jpg", JPEG)]
    assert "图片《窗台.jpg》" in platform.sent[-1]


@pytest.mark.parametrize(("has_files", "max_file_bytes"), [(False, 10**6), (True, 100)])
async def test_where_it_cannot_be_sent_the_holder_is_told_where_to_look(
    services: BotServices, medium_id: UUID, has_files: bool, max_file_bytes: int
) -> None:
    platform = await delivered(services, has_files=has_files, max_file_bytes=max_file_bytes)
    assert platform.files == []
    assert "控制台" in platform.sent[-1]


async def test_what_was_taken_back_meanwhile_is_not_sent(services: BotServices, medium_id: UUID) -> None:
    with services.database.begin() as session:
        person = people.locked(session, services.keys, channel=CHANNEL, user_id=message().user_id, now=utc_now())
        media.take_back(session, person, message(""), external_id="s")
    platform = await delivered(services)
    assert platform.files == []
    assert "撤回" in platform.sent[-1]


@pytest.mark.parametrize(("max_file_bytes", "names"), [(10**6, ["txt", "json", "zip"]), (400, ["txt", "json"] * 3)])
async def test_the_persons_own_export_has_it_where_it_fits(
    services: BotServices, medium_id: UUID, max_file_bytes: int, names: list[str]
) -> None:
    with services.database.begin() as session:
        person = people.locked(session, services.keys, channel=CHANNEL, user_id=message().user_id, now=utc_now())
        outbox.owe_unwritten(
            session, person_id=person.id, address=message().address, kind=DeliveryKind.EXPORT, now=utc_now()
        )
    files = (await delivered(services, CHANNEL, max_file_bytes=max_file_bytes)).files
    assert [file.name.rpartition(".")[2] for file in files][: len(names)] == names[: len(files)]
    packed = [file for file in files if file.name.endswith("-media.zip")]
    if packed:
        with zipfile.ZipFile(io.BytesIO(packed[0].content)) as archive:
            (name,) = archive.namelist()
            assert archive.read(name) == JPEG
        assert name in files[0].content.decode()
    else:
        assert "可以向工作人员索取" in "".join(file.content.decode() for file in files)
