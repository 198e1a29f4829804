"""Metrics of an adapter: messages received, their outcomes, and deliveries."""

from typing import Final
from uuid import UUID

from dialogue.messages import OwedText
from dialogue.storage.ids import made_at
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.traces import ROOT, UNTRACED, Traces

SENT: Final = "sent"
_TIERS: Final = ("1", "2", "3")


class BotMeters:
    """The metrics of one adapter process; labels are channels, outcomes and tiers."""

    def __init__(self, instruments: Instruments, traces: Traces = UNTRACED) -> None:
        self.traces = traces
        self.received = instruments.counter(
            "mindglm_messages",
            "Messages by outcome; a repeat was received before.",
            ["channel", "outcome"],
        )
        self.intake = instruments.histogram(
            "mindglm_intake_seconds", "Time from receiving a message to the commit.", ["channel"]
        )
        self.screened = instruments.counter(
            "mindglm_messages_screened", "Messages in which the screening found a risk.", ["tier"]
        )
        self.alarms = instruments.counter("mindglm_alarms", "Alerts that somebody is in danger.", ["tier"])
        for tier in _TIERS:  # from the first on: what appears with its first case would not be seen to have grown
            self.screened.add(0, tier=tier)
            self.alarms.add(0, tier=tier)
        self.delivered = instruments.counter(
            "mindglm_deliveries", "Delivery attempts by outcome.", ["channel", "outcome"]
        )
        self.bounces = instruments.counter(
            "mindglm_deliveries_bounced", "Texts that a platform accepted and did not deliver.", ["channel"]
        )
        self.unparsed = instruments.counter(
            "mindglm_updates_unparsed", "Updates that could not be parsed and are kept for staff.", ["channel"]
        )
        self.delivery = instruments.histogram(
            "mindglm_delivery_seconds", "Time from queueing a text to sending it.", ["channel"]
        )

    def took_in(self, channel: str, turn_id: UUID | None, *, is_new_turn: bool, began_ns: int, ended_ns: int) -> None:
        """A message was stored. The one that opens a turn is the root of the turn's trace."""
        self.intake.observe((ended_ns - began_ns) / 1e9, channel=channel)
        if turn_id is not None:
            name = ROOT if is_new_turn else "join"
            self.traces.add(name, turn_id, began_ns=began_ns, ended_ns=ended_ns, channel=channel)

    def bounced(self, channel: str) -> None:
        """A text that was sent did not arrive."""
        self.bounces.add(channel=channel)

    def sent(self, channel: str, text: OwedText, outcome: str, *, began_ns: int, ended_ns: int) -> None:
        """A text was tried."""
        self.delivered.add(channel=channel, outcome=outcome)
        if outcome == SENT:
            self.delivery.observe(ended_ns / 1e9 - made_at(text.id).timestamp(), channel=channel)
        if text.turn_id is not None:
            self.traces.add(
                "deliver",
                text.turn_id,
                began_ns=began_ns,
                ended_ns=ended_ns,
                channel=channel,
                outcome=outcome,
                delivery_id=str(text.id),
                part=text.part,
                attempt=text.attempt,
            )


UNMETERED: Final = BotMeters(UNMEASURED)
