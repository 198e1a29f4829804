"""What admins read in the chat: the overview, the list of conversations, the state of one."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from care.texts import Texts
from dialogue.admin.listing import Listed
from dialogue.admin.office import Office
from dialogue.admin.overview import Overview
from dialogue.admin.record import Record

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def status(texts: Texts, figures: Overview, *, is_listening: bool, now: datetime) -> str:
    """Whether people are being answered, in a few lines."""
    tiers = " · ".join(
        texts.say("desk_tier", tier=tier, count=count) for tier, count in sorted(figures.open_by_tier.items())[::-1]
    )
    return texts.say(
        "desk_status",
        waiting=figures.waiting_count,
        waiting_age=_age(texts, figures.oldest_waiting_at, now),
        generating=figures.generating_count,
        owed=figures.owed_count,
        held=figures.held_count,
        owed_age=_age(texts, figures.oldest_owed_at, now),
        failed_turns=figures.failed_turn_count,
        failed_deliveries=figures.failed_delivery_count,
        open=figures.open_count,
        tiers=tiers or "–",
        taken_over=figures.taken_over_count,
        alerts=texts.say("desk_on" if is_listening else "desk_off"),
    )


def sessions(texts: Texts, shown: Sequence[Listed], short_ids: dict[UUID, str], *, now: datetime) -> str:
    """One line a conversation."""
    if not shown:
        return texts.say("desk_no_sessions")
    lines = [_line(texts, one, short_ids[one.id], now) for one in shown]
    return "\n".join([texts.say("desk_sessions"), *lines, texts.say("desk_sessions_end")])


def conversation(office: Office, shown: Record, short_id: str, *, now: datetime) -> str:
    """One conversation without a word of what was said in it."""
    texts, one = office.texts, shown.conversation
    done = [
        texts.say("desk_entry", at=office.clock_time(entry.at), actor=entry.actor, action=entry.action)
        for entry in shown.entries
    ]
    details = texts.say(
        "desk_conversation",
        person=f"{one.channel}:{one.user_id}",
        opened=office.clock_time(one.opened_at),
        closed=office.clock_time(one.closed_at) if one.closed_at else "–",
        turns=one.turn_count,
        failed=one.failed_delivery_count,
        blocked=texts.say("desk_yes" if one.blocked_at else "desk_no"),
    )
    return "\n".join([_line(texts, one, short_id, now), details, *done])


def _line(texts: Texts, one: Listed, short_id: str, now: datetime) -> str:
    return texts.say(
        "desk_session",
        id=short_id,
        tier=one.tier,
        channel=one.channel,
        standing=texts.say(f"desk_standing_{one.standing}"),
        turns=one.turn_count,
        age=_age(texts, one.last_turn_at or one.opened_at, now),
    )


def _age(texts: Texts, since: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    if since is None:
        return "–"
    seconds = max(0, int((now - since).total_seconds()))
    for unit, length in (("days", _DAY), ("hours", _HOUR), ("minutes", _MINUTE)):
        if seconds >= 2 * length:
            return texts.say(f"desk_{unit}", count=seconds // length)
    return texts.say("desk_seconds", count=seconds)
