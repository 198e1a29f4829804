"""Another way in beside the services' own: with another broker, or another database connection."""

from bot.executors import PriorityExecutor
from bot.incoming.inbox import Inbox
from bot.incoming.limits import UNLIMITED, Limits
from bot.services import BotServices
from care.hotlines import directory
from care.scripts import Voice
from dialogue.broker.announcer import Announcer
from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import Signals
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database


def inbox_beside(
    services: BotServices,
    *,
    database: Database | None = None,
    broker_url: str | None = None,
    limits: Limits = UNLIMITED,
    executor: PriorityExecutor | None = None,
    clock: Clock = utc_now,
) -> Inbox:
    broker_url = broker_url or services.broker_url
    announcer = Announcer(Signals.connect(broker_url), Doorbell(broker_url))
    return Inbox(
        database=(database or services.database).announcing(announcer),
        keys=services.keys,
        texts=services.texts,
        voice=Voice(locale="zh", directory=directory("cn")),
        gate=services.inbox.rules.gate,
        max_message_length=100,
        limits=limits,
        executor=executor,
        clock=clock,
    )
