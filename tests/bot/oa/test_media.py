"""Voice and pictures for a human who is not on this account: fetched, and gone when WeChat has them no more."""

from bot.channels.oa.media import media_in
from bot.services import BotServices
from dialogue.messages import Address
from dialogue.states import MediumKind, MediumLoss, MediumState
from tests.bot.held import hold, settled
from tests.bot.oa.clinic import PERSON, OaClinic
from tests.bot.oa.loopback import OfficialAccount

AMR = b"#!AMR\n" + bytes(3000)


def test_what_is_offered_is_of_its_kind() -> None:
    (offer,) = media_in("image:M:1")
    assert (offer.kind, offer.reference) == (MediumKind.IMAGE, "M:1")


async def test_who_answers_at_the_console_gets_the_voice_message(
    services: BotServices, clinic: OaClinic, account: OfficialAccount
) -> None:
    await clinic.opens()
    account.say(PERSON, "在吗")
    await hold(services)
    account.show(PERSON, content=AMR)
    row, content = await settled(services)
    assert (row.state, row.kind, row.content_type, content) == (
        MediumState.KEPT,
        MediumKind.VOICE,
        "audio/amr",
        AMR,
    )


async def test_what_wechat_has_no_more_is_said_to_be_gone(
    services: BotServices, clinic: OaClinic, account: OfficialAccount
) -> None:
    await clinic.opens()
    account.say(PERSON, "在吗")
    await hold(services, by=Address(channel="telegram", chat_id="9001"))
    account.fault("media/get", 40007, message="invalid media_id", times=9)
    account.show(PERSON, content=AMR)
    row, _ = await settled(services)
    assert (row.state, row.loss) == (MediumState.LOST, MediumLoss.GONE)
