"""An adapter before the loopback Official Account, and what its database says."""

from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.channels.oa.adapter import open_adapter
from bot.channels.runtime import Runtime
from bot.services import BotServices
from dialogue.tables import CASES, PEOPLE, Delivery, Message
from tests.bot.contract.oa import settings_for
from tests.bot.oa.loopback import OfficialAccount
from tests.bot.running import Running

PERSON = "oPerson0001"


class OaClinic:
    """One adapter after the other, on one database."""

    def __init__(self, services: BotServices, account: OfficialAccount, home: Path) -> None:
        self.services = services
        self.account = account
        self.home = home
        self._running: list[Running] = []

    async def opens(self, **settings: Any) -> Runtime:
        """An adapter listens."""
        runtime = open_adapter(self.services, settings_for(self.account, **settings), self.home)
        self._running.append(await Running(runtime).listens())
        return runtime

    async def close(self) -> None:
        while self._running:
            await self._running.pop().stop()

    def told(self, person: str = PERSON) -> list[str]:
        return self.account.texts(person)

    def stored(self) -> int:
        with self.services.database.read() as session:
            return session.scalar(select(func.count(Message.id))) or 0

    def deliveries(self) -> list[Delivery]:
        with self.services.database.read() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def case_levels(self, person: str = PERSON) -> list[int]:
        """Of the cases about that person."""
        about = select(CASES.c.level).join(PEOPLE, PEOPLE.c.id == CASES.c.person_id).where(PEOPLE.c.user_id == person)
        with self.services.database.read() as session:
            return list(session.scalars(about))

    def fates(self) -> list[tuple[str, str | None]]:
        return [(row.state.value, row.error) for row in self.deliveries()]

    def states(self) -> list[str]:
        return [row.state.value for row in self.deliveries()]
