"""Tables for the terminal."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from care.texts import Texts
from dialogue.admin.audit import Entry
from dialogue.admin.cases.open_cases import Unattended
from dialogue.admin.listing import Listed
from dialogue.admin.overview import Overview
from dialogue.admin.record import Record, Utterance, in_words
from dialogue.core.unparsed import KeptUpdate
from mindglm.admin import printing
from mindglm.codes import label, reason
from mindglm.language import say


def overview(figures: Overview, attention: Unattended, *, now: datetime) -> None:
    waited, owed = _seconds(figures.oldest_waiting_at, now), _seconds(figures.oldest_owed_at, now)
    printing.table(
        "",
        ("", "now", "oldest"),
        [
            (say("people whom nobody attends to"), attention.count, _seconds(attention.oldest_at, now)),
            (say("turns waiting for an answer"), figures.waiting_count, waited),
            (say("turns being generated"), figures.generating_count, ""),
            (say("texts to be sent"), figures.owed_count, owed),
            (say("turns that failed, last 24 hours"), figures.failed_turn_count, ""),
            (say("deliveries that failed, last 24 hours"), figures.failed_delivery_count, ""),
            (say("open conversations"), figures.open_count, ""),
            *((say(f"  of them with tier {tier}"), count, "") for tier, count in sorted(figures.open_by_tier.items())),
            (say("  of them held by a human"), figures.taken_over_count, ""),
        ],
    )


def sessions(shown: list[Listed], short_ids: dict[UUID, str]) -> None:
    if not shown:
        printing.line("No conversation fits.")
        return
    printing.table(
        "",
        ("id", "tier", "state", "person", "opened", "last turn", "turns", "failed", "held by"),
        [
            (
                short_ids[one.id],
                one.tier,
                label("standing", one.standing),
                f"{one.channel}:{one.user_id}",
                one.opened_at,
                one.last_turn_at,
                one.turn_count,
                one.failed_delivery_count or "",
                one.taken_over_by or "",
            )
            for one in shown
        ],
    )


def record(shown: Record) -> None:
    one = shown.conversation
    printing.table(
        "",
        ("", ""),
        [
            (say("id"), one.id),
            (
                say("person"),
                say(f"{one.channel}:{one.user_id} (blocked)") if one.blocked_at else f"{one.channel}:{one.user_id}",
            ),
            (say("person's id"), one.person_id),
            (say("state"), label("standing", one.standing)),
            (say("tier"), one.tier),
            (say("opened"), one.opened_at),
            (say("closed"), _closed(one.closed_at, one.closed_by)),
            (say("held by"), one.taken_over_by),
        ],
    )
    printing.table(
        "\nTurns, newest first",
        ("seq", "state", "tries", "began", "first token", "finished", "tokens", "model", "error"),
        [
            (
                turn.seq,
                label("turn", turn.state),
                turn.attempt,
                turn.created_at,
                turn.first_token_at,
                turn.finished_at,
                turn.reply_tokens,
                turn.model_version,
                turn.error or "",
            )
            for turn in shown.turns
        ],
    )
    printing.table(
        "\nDeliveries, newest first",
        ("id", "kind", "state", "tries", "made", "sent", "error"),
        [
            (
                one.id,
                label("kind", one.kind),
                label("delivery", one.state),
                one.attempt,
                one.created_at,
                one.sent_at,
                one.error or "",
            )
            for one in shown.deliveries
        ],
    )
    printing.table(
        "\nAudit, newest first",
        ("when", "who", "what", "why"),
        [
            (entry.at, label("actor", entry.actor), label("audit", entry.action), reason(entry.action, entry.reason))
            for entry in shown.entries
        ],
    )


def transcript(lines: list[Utterance], texts: Texts) -> None:
    printing.table(
        "\nWhat was said",
        ("when", "who", "words"),
        [(one.at, label("speaker", one.speaker), in_words(one, texts)) for one in lines],
    )


def audit(entries: Sequence[Entry]) -> None:
    if not entries:
        printing.line("No matching entries.")
        return
    printing.table(
        "",
        ("when", "who", "what", "conversation", "person", "why"),
        [
            (
                one.at,
                label("actor", one.actor),
                label("audit", one.action),
                one.conversation_id,
                one.person_id,
                reason(one.action, one.reason),
            )
            for one in entries
        ],
    )


def unparsed(found: Sequence[KeptUpdate]) -> None:
    if not found:
        printing.line("Everything that platforms sent could be read.")
        return
    printing.table(
        "",
        ("received", "channel", "from", "error", "read", "id"),
        [(one.received_at, one.channel, one.user_id, one.error, one.read_at, one.id) for one in found],
    )


def _closed(at: datetime | None, by: str | None) -> str:
    return say(f"{printing.cell(at)}, closed by {label('closed_by', by)}") if by else printing.cell(at)


def _seconds(since: datetime | None, now: datetime) -> str:
    return f"{(now - since).total_seconds():.0f} s" if since is not None else ""
