"""Voice and pictures for a human who is not on WeCom: fetched, sent on as a file, gone when they are taken back."""

import pytest

from bot.channels.wecom.media import media_in
from bot.services import BotServices
from dialogue.messages import Address
from dialogue.states import MediumKind, MediumLoss, MediumState
from tests.bot.held import hold, settled
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import WeCom
from tests.patience import until

AMR = b"#!AMR\n" + bytes(3000)


@pytest.mark.parametrize(("kind", "as_kind"), [("image", MediumKind.IMAGE), ("file", MediumKind.FILE)])
def test_what_is_offered_is_of_its_kind(kind: str, as_kind: MediumKind) -> None:
    (offer,) = media_in(f"{kind}:M:1")
    assert (offer.kind, offer.reference) == (as_kind, "M:1")


async def test_who_answers_at_the_console_gets_the_voice_message(
    services: BotServices, clinic: Clinic, wecom: WeCom
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "在吗")
    await hold(services)
    wecom.show(PERSON, content=AMR)
    row, content = await settled(services)
    assert (row.state, row.kind, row.content_type, content) == (
        MediumState.KEPT,
        MediumKind.VOICE,
        "audio/amr",
        AMR,
    )


async def test_what_wecom_has_no_more_is_said_to_be_gone(services: BotServices, clinic: Clinic, wecom: WeCom) -> None:
    await clinic.opens()
    wecom.say(PERSON, "在吗")
    await hold(services, by=Address(channel="telegram", chat_id="9001"))
    wecom.fault("media/get", 40007, message="invalid media_id", times=9)
    wecom.show(PERSON, content=AMR)
    row, _ = await settled(services)
    assert (row.state, row.loss) == (MediumState.LOST, MediumLoss.GONE)
    await until(lambda: any("没能转到咨询师那里" in text for text in wecom.texts(PERSON)))
