"""What an adapter counts: who wrote, what became of it, and what was delivered."""

from typing import Final

from dialogue.instruments import UNMEASURED, Instruments


class BotMeters:
    """The figures of one adapter process; labels are channels, outcomes and tiers."""

    def __init__(self, instruments: Instruments) -> None:
        self.received = instruments.counter(
            "mindglm_messages",
            "Messages by what became of them; a repeat was received before.",
            ["channel", "outcome"],
        )
        self.intake = instruments.histogram(
            "mindglm_intake_seconds", "From the adapter's hands to the commit.", ["channel"]
        )
        self.screened = instruments.counter(
            "mindglm_messages_screened", "Messages in which the screening found a risk.", ["tier"]
        )
        self.alarms = instruments.counter("mindglm_alarms", "Alarms that somebody is in danger.", ["tier"])
        self.delivered = instruments.counter(
            "mindglm_deliveries", "Tries to deliver a text, by their outcome.", ["channel", "outcome"]
        )
        self.delivery = instruments.histogram("mindglm_delivery_seconds", "From being owed to being sent.", ["channel"])


UNMETERED: Final = BotMeters(UNMEASURED)
