"""Texts are read only where the setting allows it, and every reading is in the audit."""

from bot.services import BotServices
from dialogue.admin import audit
from dialogue.process.settings import DialogueSettings
from dialogue.states import DeliveryKind
from tests.bot.staff.chat import order, person_id, short
from tests.builders import Rooms, message


async def test_reading_in_the_chat_is_refused_unless_the_setting_allows_it(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("谁也不许看见的话"))
    answer = await order(desk, f"/admin text {short(heard.conversation_id)}")
    assert "MINDGLM_ADMIN_TEXTS" in answer
    assert "谁也不许看见的话" not in answer


async def test_what_an_admin_reads_is_audited_and_sealed_with_the_persons_key(
    settings: DialogueSettings, desk: BotServices
) -> None:
    services = BotServices.open(settings.model_copy(update={"admin_texts": True}))
    heard = await services.inbox.receive(message("我睡不着"))
    answer = await order(services, f"/admin text {short(heard.conversation_id)} 督导")
    services.close()
    assert "对方：我睡不着" in answer
    with desk.database.read() as session:
        (entry,) = audit.entries(session, action="read")
    assert (entry.actor, entry.conversation_id, entry.reason) == ("telegram:42", heard.conversation_id, "督导")
    relays = [row for row in Rooms(desk.database, desk.keys).deliveries() if row.kind is DeliveryKind.RELAY]
    assert [row.person_id for row in relays] == [person_id(desk, "小王")]
