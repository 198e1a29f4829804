"""Read-only commands: status, sessions, show, audit. Opening a transcript writes an audit entry."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from bot.channels import registry
from mindglm.admin.context import AdminContext, AsJson, Why

if TYPE_CHECKING:
    from dialogue.admin.listing import ConversationStatus

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]

Id = Annotated[str, typer.Argument(help="A conversation's id, or its beginning.")]
Limit = Annotated[int, typer.Option(help="Lines at most.", min=1, max=1000)]


def register(app: typer.Typer) -> None:
    """Put these commands on the counter."""
    app.command(epilog="Example: mindglm admin status --max-wait 60")(status)
    app.command(epilog="Example: mindglm admin sessions --min-tier 2 --since 2026-11-01")(sessions)
    app.command(epilog="Example: mindglm admin show 019aa5c3 --text --why supervision")(show)
    app.command(epilog="Example: mindglm admin audit --conversation 019aa5c3")(audit)


def status(
    *,
    max_wait: Annotated[
        float | None, typer.Option(help="Exit with 1 if somebody has waited longer for an answer (seconds).", min=0)
    ] = None,
    json: AsJson = False,
) -> None:
    """Are people being answered? Whom nobody attends to, waiting turns, unsent texts, failures, and danger tiers."""
    from dialogue.admin.cases import open_cases
    from dialogue.admin.overview import overview
    from dialogue.storage.clock import utc_now
    from mindglm.admin import printing, tables

    now = utc_now()
    with AdminContext.open() as counter, counter.database.read() as session:
        figures = overview(session, now=now)
        attention = open_cases.unattended(session, minutes=counter.settings.case_minutes, now=now)
    if json:
        shown = {"at": now, "open_count": figures.open_count, **printing.fields(figures)}
        printing.as_json({**shown, "unattended": printing.fields(attention)})
    else:
        tables.overview(figures, attention, now=now)
    oldest = figures.oldest_waiting_at
    if max_wait is not None and oldest is not None and now - oldest > timedelta(seconds=max_wait):
        raise typer.Exit(1)


def sessions(
    *,
    channel: Annotated[
        str | None, typer.Option(help=f"{', '.join(each.name for each in registry.channels())}.")
    ] = None,
    standing: Annotated[str | None, typer.Option("--state", help="open, waiting, taken_over or closed.")] = None,
    min_tier: Annotated[int, typer.Option(help="Of this tier or higher.", min=0, max=3)] = 0,
    since: Annotated[
        datetime | None,
        typer.Option(formats=_DATES, help="Opened then or later, in the zone of MINDGLM_CONSOLE_TIME_ZONE."),
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=_DATES, help="Opened before then, in the same zone.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="channel:user id, or the beginning of an id.")] = None,
    after: Annotated[str | None, typer.Option(help="The next page: the id of this page's last line.")] = None,
    limit: Limit = 50,
    json: AsJson = False,
) -> None:
    """Conversations, newest first, without their texts."""
    from dialogue.admin import find, listing
    from dialogue.admin.listing import Cursor, Wanted
    from dialogue.errors import NoSuchConversation
    from mindglm.admin import printing, tables

    with AdminContext.open() as counter, counter.database.read() as session:
        wanted = Wanted(
            channel=channel,
            standing=_standing(standing),
            min_tier=min_tier,
            opened_from=_in_zone(since, counter.settings.console_time_zone),
            opened_before=_in_zone(before, counter.settings.console_time_zone),
            person_id=find.person(session, person) if person else None,
        )
        cursor = None
        if after is not None:
            last = listing.one(session, find.conversation(session, after))
            if last is None:
                raise NoSuchConversation
            cursor = Cursor(last.opened_at, last.id)
        page = listing.page(session, wanted, after=cursor, limit=limit)
        short_ids = find.short_ids(session, [one.id for one in page.conversations])
    if json:
        printing.as_json(
            {
                "conversations": [{**printing.fields(one), "standing": one.standing} for one in page.conversations],
                "next": page.next.id if page.next else None,
            }
        )
        return
    tables.sessions(page.conversations, short_ids)
    if page.next is not None:
        printing.line(f"There are more: --after {short_ids[page.next.id]}")


def show(
    conversation: Id,
    *,
    text: Annotated[bool, typer.Option("--text", help="Include its texts; needs --why, and is audited.")] = False,
    why: Why = None,
    limit: Limit = 50,
    json: AsJson = False,
) -> None:
    """One conversation: turns, deliveries, what was done to it; with --text also what was said."""
    from dialogue.admin import find, record
    from dialogue.storage.clock import utc_now
    from mindglm.admin import printing, tables

    if text and not why:
        raise typer.BadParameter("give --why: every read of a person's messages is audited with a reason")
    with AdminContext.open() as counter:
        with counter.database.read() as session:
            conversation_id = find.conversation(session, conversation)
            shown = record.show(session, conversation_id, max_count=limit)
        lines = None
        if text:
            with counter.database.begin() as session:
                lines = record.transcript(
                    session,
                    counter.office,
                    conversation_id,
                    by=counter.actor,
                    reason=why,
                    max_lines=limit,
                    now=utc_now(),
                )
    if json:
        printing.as_json(
            {
                **printing.fields(shown),
                **({"transcript": [printing.fields(line) for line in lines]} if lines is not None else {}),
            }
        )
        return
    tables.record(shown)
    if lines is not None:
        tables.transcript(lines, counter.office.texts)


def audit(
    *,
    conversation: Annotated[str | None, typer.Option(help="Of one conversation.")] = None,
    person: Annotated[
        str | None, typer.Option(help="Of one person: channel:user id, or the beginning of an id.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option(help="By one admin, e.g. telegram:123456789, cli:root or a name of the console.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Of one kind, e.g. read, reset, alarm, or as it is shown.")] = None,
    before: Annotated[str | None, typer.Option(help="The next page: the id of this page's last line.")] = None,
    limit: Limit = 50,
    json: AsJson = False,
) -> None:
    """Who did what to whom, when and why; the newest first. Never a text."""
    from uuid import UUID

    from console import audit_search, words
    from dialogue.admin import audit as book
    from dialogue.admin import find
    from mindglm.admin import printing, tables

    try:
        last = UUID(before) if before else None
    except ValueError:
        raise typer.BadParameter("--before takes the whole id of a line, as --json prints it") from None
    with AdminContext.open() as counter, counter.database.read() as session:
        channels = [each.name for each in registry.channels()]
        asked = audit_search.read(session, words.load(), channels, actor=actor or "", action=action or "", whom="")
        if "audit_unknown_actor" in asked.troubles:
            raise typer.BadParameter("nobody of that name has done anything")
        if asked.troubles:
            raise typer.BadParameter("there is no such action")
        entries = book.entries(
            session,
            conversation_id=find.conversation(session, conversation) if conversation else None,
            person_id=find.person(session, person) if person else None,
            actors=asked.actors,
            actions=asked.actions,
            before=last,
            limit=limit,
        )
    if json:
        printing.as_json(entries)
        return
    tables.audit(entries)


def _in_zone(moment: datetime | None, zone: str) -> datetime | None:
    """As it is typed, a time of the operator's zone: the one in which tables show times."""
    return moment.replace(tzinfo=ZoneInfo(zone)) if moment is not None else None


def _standing(word: str | None) -> "ConversationStatus | None":
    from dialogue.admin.listing import ConversationStatus

    if word is None:
        return None
    try:
        return ConversationStatus(word)
    except ValueError:
        raise typer.BadParameter(f"--state is one of {', '.join(ConversationStatus)}") from None
