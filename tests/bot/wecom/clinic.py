"""An adapter before the loopback WeCom, and what its database says."""

from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.channels.runtime import Runtime
from bot.channels.wecom.adapter import open_adapter
from bot.services import BotServices
from dialogue.tables import SEND_BUDGETS, Conversation, Delivery, Message
from tests.bot.contract.wecom import settings_for
from tests.bot.running import Running
from tests.bot.wecom.loopback import WeCom

PERSON = "wmPERSON01"


class Clinic:
    """One adapter after the other, on one database."""

    def __init__(self, services: BotServices, wecom: WeCom, home: Path) -> None:
        self.services = services
        self.wecom = wecom
        self.home = home
        self._running: list[Running] = []

    async def opens(self, **settings: Any) -> Runtime:
        """An adapter listens."""
        runtime = open_adapter(self.services, settings_for(self.wecom, **settings), self.home)
        self._running.append(await Running(runtime).listens())
        return runtime

    async def close(self) -> None:
        while self._running:
            await self._running.pop().stop()

    def told(self, person: str = PERSON) -> list[str]:
        return self.wecom.texts(person)

    def stored(self) -> int:
        with self.services.database.read() as session:
            return session.scalar(select(func.count(Message.id))) or 0

    def deliveries(self) -> list[Delivery]:
        with self.services.database.read() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def states(self) -> list[str]:
        return [row.state.value for row in self.deliveries()]

    def holders(self) -> list[str]:
        """The colleagues who hold an open conversation."""
        with self.services.database.read() as session:
            held = select(Conversation.taken_over_by).where(Conversation.taken_over_by.is_not(None))
            return [holder for holder in session.scalars(held) if holder is not None]

    def platform_holders(self) -> list[str | None]:
        with self.services.database.read() as session:
            return list(session.scalars(select(SEND_BUDGETS.c.platform_holder)))
