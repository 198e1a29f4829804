"""Another way in beside a room's own: with another broker, or another database connection."""

from bot.inbox import Inbox
from bot.limits import UNLIMITED, Limits
from bot.room import Room
from care.hotlines import directory
from care.scripts import Voice
from dialogue.clock import Clock, utc_now
from dialogue.database import Database
from dialogue.doorbell import Doorbell, ringing_app
from dialogue.signals import Signals


def inbox_beside(
    room: Room,
    *,
    database: Database | None = None,
    broker_url: str | None = None,
    limits: Limits = UNLIMITED,
    clock: Clock = utc_now,
) -> Inbox:
    broker_url = broker_url or room.broker_url
    return Inbox(
        database=database or room.database,
        keys=room.keys,
        texts=room.texts,
        voice=Voice(locale="zh", directory=directory("cn")),
        gate=room.inbox.gate,
        doorbell=Doorbell(ringing_app(broker_url)),
        signals=Signals.connect(broker_url),
        max_message_length=100,
        limits=limits,
        clock=clock,
    )
