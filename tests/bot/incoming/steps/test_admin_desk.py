"""Orders of admins are carried out here, and nobody else's are."""

from bot.incoming.steps import admin_desk
from dialogue.core.commands import Command
from dialogue.messages import InboundMessage
from tests.bot.incoming.steps.talk import CALM, Talk


def of_admin(talk: Talk, text: str, *, is_private: bool = True) -> InboundMessage:
    return InboundMessage(
        address=talk.admin,
        account="bot",
        user_id=talk.admin.chat_id,
        external_id=f"{talk.admin.chat_id}-{text}",
        text=text,
        sent_at=talk.clock(),
        is_private=is_private,
    )


def test_an_admins_order_is_answered_and_kept_by_its_name_only(talk: Talk) -> None:
    receipt = talk.answered(admin_desk.decide, of_admin(talk, "/admin help"))
    assert receipt.command is Command.ADMIN
    assert talk.owed(to=talk.admin) == [talk.words.say("desk_help")]


def test_an_admin_may_talk_as_anyone_does_and_in_a_group_is_anyone(talk: Talk) -> None:
    talk.passed_on(admin_desk.decide, of_admin(talk, CALM))
    talk.passed_on(admin_desk.decide, of_admin(talk, "/admin help", is_private=False))


def test_to_everybody_else_it_is_no_order(talk: Talk) -> None:
    talk.passed_on(admin_desk.decide, "/admin help")
