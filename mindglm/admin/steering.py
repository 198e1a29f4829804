"""Commands that change something: reset, close, release, block, unblock, resend. Each leaves its line in the audit."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from mindglm.admin.context import AdminContext, AsJson, Why, Yes, confirm

if TYPE_CHECKING:
    from dialogue.states import DeliveryState

_LOOK_SECONDS = 0.2

Id = Annotated[str, typer.Argument(help="A conversation's id, or its beginning.")]
Person = Annotated[str, typer.Argument(help="channel:user id, or the beginning of a conversation's or person's id.")]


def register(app: typer.Typer) -> None:
    """Put these commands on the counter."""
    app.command(epilog="Example: mindglm admin alert --test")(alert)
    app.command(epilog="Example: mindglm admin reset 019aa5c3 --why test")(reset)
    app.command(epilog="Example: mindglm admin close 019aa5c3 --yes")(close)
    app.command(epilog="Example: mindglm admin release 019aa5c3")(release)
    app.command(epilog="Example: mindglm admin block telegram:123456789 --why spam")(block)
    app.command(epilog="Example: mindglm admin unblock telegram:123456789")(unblock)
    app.command(epilog="Example: mindglm admin resend 019aa5c3-7d10-7c55-8c4e-0a1b2c3d4e5f")(resend)


def alert(
    *,
    test: Annotated[bool, typer.Option("--test", help="Send a test alarm to every admin.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the adapters to deliver it.", min=0)] = 30,
    json: AsJson = False,
) -> None:
    """Send a test alarm to every admin and say what became of it; exit status 1 if one was not sent."""
    from dialogue.admin import reachability
    from dialogue.states import DeliveryState
    from dialogue.storage.clock import utc_now
    from mindglm.admin import printing
    from mindglm.codes import label

    if not test:
        raise typer.BadParameter("only test alarms can be sent by hand: --test")
    with AdminContext.open() as counter:
        if not counter.office.admins:
            raise typer.BadParameter("MINDGLM_ADMINS names nobody")
        with counter.database.begin() as session:
            owed = reachability.test(session, counter.office, now=utc_now())
        outcomes = _wait_for(counter, list(owed.values()), seconds=wait)
    told = {
        f"{admin.channel}:{admin.chat_id}": {"state": state, "error": error}
        for admin, delivery_id in owed.items()
        for state, error in [outcomes[delivery_id]]
    }
    if json:
        printing.as_json({"admins": told})
    else:
        for admin, fate in told.items():
            printing.line(f"{admin}: {fate['error'] or label('delivery', fate['state'])}")
    raise typer.Exit(any(fate["state"] != DeliveryState.SENT for fate in told.values()))


def _wait_for(
    counter: AdminContext, delivery_ids: list[UUID], *, seconds: float
) -> "dict[UUID, tuple[DeliveryState, str | None]]":
    """Until the adapters have sent them, or failed, at most that long."""
    from dialogue.admin import reachability
    from dialogue.states import OPEN_DELIVERY_STATES

    deadline = time.monotonic() + seconds
    while True:
        with counter.database.read() as session:
            outcomes = reachability.outcomes(session, delivery_ids)
        is_done = not any(state in OPEN_DELIVERY_STATES for state, _ in outcomes.values())
        if is_done or time.monotonic() >= deadline:
            return outcomes
        time.sleep(_LOOK_SECONDS)


def reset(
    conversation: Annotated[str | None, typer.Argument(help="A conversation's id, or its beginning.")] = None,
    *,
    person: Annotated[
        str | None, typer.Option(help="All of one person: channel:user id, or an id's beginning.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody's, in small transactions.")] = False,
    why: Why = None,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """End conversations silently and cancel generation. The next message starts a new one."""
    if sum((conversation is not None, person is not None, everybody)) != 1:
        raise typer.BadParameter("say which: a conversation's id, --person or --all")
    with AdminContext.open() as counter:
        if everybody:
            count = _reset_all(counter, why=why, yes=yes)
        elif person is not None:
            count = _reset_person(counter, person, why=why, yes=yes)
        else:
            confirm(f"End conversation {conversation}?", yes=yes)
            count = _reset_one(counter, conversation or "", why=why)
    _done({"reset_count": count}, f"{count} conversations have ended.", json=json)


def close(conversation: Id, *, why: Why = None, yes: Yes = False, json: AsJson = False) -> None:
    """End a conversation and tell its person so."""
    from dialogue.admin import steering

    confirm(f"End conversation {conversation} and tell the person?", yes=yes)
    conversation_id = _on_conversation(conversation, steering.close, why=why)
    _done({"conversation_id": conversation_id}, "The conversation has ended; the person is told.", json=json)


def release(conversation: Id, *, why: Why = None, json: AsJson = False) -> None:
    """Hand a taken-over conversation back to the program; both sides are told."""
    from dialogue.admin import takeover

    conversation_id = _on_conversation(conversation, takeover.release, why=why)
    _done({"conversation_id": conversation_id}, "The program answers again; both sides are told.", json=json)


def block(person: Person, *, why: Why = None, yes: Yes = False, json: AsJson = False) -> None:
    """Block a person: their conversations end, their messages are not answered, except in danger."""
    from dialogue.admin import find, steering
    from dialogue.storage.clock import utc_now

    confirm(f"Block {person} and end their conversations?", yes=yes)
    with AdminContext.open() as counter, counter.database.begin() as session:
        person_id = find.person(session, person)
        steering.block(session, counter.office, person_id, by=counter.actor, reason=why, now=utc_now())
    _done({"person_id": person_id}, "The person is blocked.", json=json)


def unblock(person: Person, *, why: Why = None, json: AsJson = False) -> None:
    """Unblock a person."""
    from dialogue.admin import find, steering
    from dialogue.storage.clock import utc_now

    with AdminContext.open() as counter, counter.database.begin() as session:
        person_id = find.person(session, person)
        steering.unblock(session, person_id, by=counter.actor, reason=why, now=utc_now())
    _done({"person_id": person_id}, "The person may write again.", json=json)


def resend(
    delivery: Annotated[str, typer.Argument(help="A delivery's whole id, as `show` prints it.")],
    *,
    why: Why = None,
    json: AsJson = False,
) -> None:
    """Resend a failed text."""
    from dialogue.admin import steering
    from dialogue.storage.clock import utc_now

    try:
        delivery_id = UUID(delivery)
    except ValueError:
        raise typer.BadParameter("a delivery's whole id, as `mindglm admin show` prints it") from None
    with AdminContext.open() as counter, counter.database.begin() as session:
        steering.resend(session, delivery_id, by=counter.actor, reason=why, now=utc_now())
    _done({"delivery_id": delivery_id}, "The text is queued again.", json=json)


def _reset_one(counter: AdminContext, conversation: str, *, why: str | None) -> int:
    from dialogue.admin import find, steering
    from dialogue.storage.clock import utc_now

    with counter.database.begin() as session:
        conversation_id = find.conversation(session, conversation)
        steering.reset(session, counter.office, conversation_id, by=counter.actor, reason=why, now=utc_now())
    return 1


def _reset_person(counter: AdminContext, person: str, *, why: str | None, yes: bool) -> int:
    from dialogue.admin import find, listing, steering
    from dialogue.admin.listing import ConversationStatus, Wanted
    from dialogue.storage.clock import utc_now

    confirm(f"End all conversations of {person}?", yes=yes)
    with counter.database.begin() as session:
        person_id = find.person(session, person)
        count = len(listing.page(session, Wanted(person_id=person_id, standing=ConversationStatus.OPEN)).conversations)
        steering.reset_person(session, counter.office, person_id, by=counter.actor, reason=why, now=utc_now())
    return count


def _reset_all(counter: AdminContext, *, why: str | None, yes: bool) -> int:
    from dialogue.admin import reset_all
    from dialogue.admin.overview import overview
    from dialogue.storage.clock import utc_now

    with counter.database.read() as session:
        open_count = overview(session, now=utc_now()).open_count
    confirm(f"End all {open_count} open conversations?", yes=yes)
    return sum(reset_all.reset_all(counter.database, counter.office, by=counter.actor, reason=why))


def _on_conversation(conversation: str, act: Callable[..., None], *, why: str | None) -> UUID:
    from dialogue.admin import find
    from dialogue.storage.clock import utc_now

    with AdminContext.open() as counter, counter.database.begin() as session:
        conversation_id = find.conversation(session, conversation)
        act(session, counter.office, conversation_id, by=counter.actor, reason=why, now=utc_now())
    return conversation_id


def _done(result: dict[str, object], words: str, *, json: bool) -> None:
    from mindglm.admin import printing

    if json:
        printing.as_json(result)
    else:
        printing.line(words)
