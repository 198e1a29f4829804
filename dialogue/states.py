"""The states that rows go through, who closed what, and what staff may do."""

from enum import StrEnum


class TurnState(StrEnum):
    """waiting → generating → answered | failed; waiting and generating → discarded by a reset."""

    WAITING = "waiting"  # more messages may join
    GENERATING = "generating"  # a worker holds the lease
    ANSWERED = "answered"  # the reply is in the outbox and in the history
    FAILED = "failed"  # given up; the person was told
    DISCARDED = "discarded"  # the conversation ended first


OPEN_TURN_STATES = (TurnState.WAITING, TurnState.GENERATING)


HELD_RING_COUNT = -1
"""The `ring_count` of a waiting turn that is held for more words: announced and claimed from its `rung_at` on."""


class DeliveryState(StrEnum):
    """pending → sending → sent | failed; sent → bounced; pending and held → discarded by a reset.

    On a channel with a budget: pending and sending → held → pending when the person writes; pending → joined.
    """

    PENDING = "pending"  # owed
    SENDING = "sending"  # a courier holds the lease
    HELD = "held"  # owed, but the platform takes nothing more until the person writes
    SENT = "sent"  # the platform took it
    BOUNCED = "bounced"  # the platform took it, and said later that it did not arrive
    JOINED = "joined"  # its text is part of the delivery before it
    FAILED = "failed"  # the platform refused it for good, or nobody knows whether it took it
    DISCARDED = "discarded"  # the conversation ended first


OPEN_DELIVERY_STATES = (DeliveryState.PENDING, DeliveryState.SENDING)
"""A courier will send them, or is at it."""

UNSENT_DELIVERY_STATES = (DeliveryState.PENDING, DeliveryState.HELD)
"""Nobody is sending them: they can be taken back."""

OWED_DELIVERY_STATES = (*OPEN_DELIVERY_STATES, DeliveryState.HELD)

UNDELIVERED_STATES = (DeliveryState.FAILED, DeliveryState.BOUNCED)
"""Staff must decide about them."""


class DeliveryKind(StrEnum):
    """What a text is, which decides whether an uncertain send is repeated."""

    REPLY = "reply"  # the model's words: at most once
    NOTICE = "notice"  # our own words: at most once
    CRISIS = "crisis"  # words that must arrive: at least once
    HUMAN = "human"  # a human's words in a conversation that was taken over: at most once
    RELAY = "relay"  # a person's words for the admin who took the conversation over: at least once
    ALERT = "alert"  # something that admins must hear of: at least once
    EXPORT = "export"  # a person's own data, gathered when it is sent: at most once
    FAREWELL = "farewell"  # what is said after an erasure, and needs no key: at least once
    CONSENT = "consent"  # our question for consent: at most once; a channel that has buttons adds them


URGENT_KINDS = (DeliveryKind.CRISIS, DeliveryKind.ALERT)
"""They go before all others."""

REPEATABLE_KINDS = (DeliveryKind.CRISIS, DeliveryKind.RELAY, DeliveryKind.ALERT, DeliveryKind.FAREWELL)
"""They must arrive: a send whose fate is unknown is repeated."""

UNWRITTEN_KINDS = (DeliveryKind.EXPORT, DeliveryKind.FAREWELL)
"""Their text is not stored: it is made when it is sent."""


class MediumKind(StrEnum):
    """What a person showed, as their platform calls it; what the content is, `dialogue.core.content_types` tells."""

    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"


class MediumState(StrEnum):
    """wanted → kept | lost."""

    WANTED = "wanted"  # the channel is to fetch it
    KEPT = "kept"  # its content is stored, sealed
    LOST = "lost"  # it could not be fetched, or was not to be: it stays in the person's app


class MediumLoss(StrEnum):
    """Why a human does not see what a person showed."""

    TOO_LARGE = "too_large"  # above our limit, or the platform's
    GONE = "gone"  # the platform has it no more
    REFUSED = "refused"  # the platform does not hand it out
    FAILED = "failed"  # it was tried several times
    RELEASED = "released"  # nobody held the conversation any more
    OFF = "off"  # the operator does not have them fetched
    NO_FILE = "no_file"  # nothing that can be fetched: a place on the map, a contact


class ClosedBy(StrEnum):
    """Who ended a conversation."""

    PERSON = "person"
    ADMIN = "admin"
    PAUSE = "pause"  # somebody under age came back: nothing is remembered
    CHANNEL = "channel"  # the person blocked the bot, or the account is gone
    SILENCE = "silence"  # nobody said anything for as long as texts are kept


class CaseKind(StrEnum):
    """Why a human must attend to somebody."""

    DANGER = "danger"  # the screening found that somebody may harm themselves
    HUMAN = "human"  # the person asked for a human
    BOUNCED = "bounced"  # crisis words were sent and did not arrive
    HELD = "held"  # crisis words cannot be sent until the person writes again
    UNREACHABLE_ADMIN = "unreachable"  # alerts do not reach an admin


class CaseOutcome(StrEnum):
    """How a case ended."""

    SPOKE = "spoke"  # a human talked with the person, who is safe for now
    REFERRED = "referred"  # emergency services, a hospital or a colleague elsewhere took over
    CONTACTED = "contacted"  # somebody close to the person was reached
    UNREACHED = "unreached"  # tried, and not reached
    FALSE_ALARM = "false_alarm"
    RESOLVED = "resolved"  # nothing is left to do


class NoteKind(StrEnum):
    """What staff write down about a person."""

    PRIVATE = "private"  # for its author only
    HANDOVER = "handover"  # for whoever is on duty next


class Role(StrEnum):
    """What a member of staff may do in the web console; each may do what those before may."""

    VIEWER = "viewer"  # sees figures and rows, never a text
    COUNSELLOR = "counsellor"  # reads transcripts, steps in, resets
    ADMIN = "admin"  # looks after the staff

    @property
    def rank(self) -> int:
        return list(Role).index(self)
