"""The admins' desk in the chat, on a database of its own; what an order does is undone after it."""

import atexit
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.staff.desk import Caller, Desk
from bot.staff.orders import Verb
from care import texts
from dialogue.admin.office import Office
from dialogue.core import people
from dialogue.messages import Address
from dialogue.storage.database import connect, sqlite_url
from tests.builders import Rooms
from tests.fuzz.mutation import Mutator
from tests.services.migrated import migrate

_BOSS = Address(channel="telegram", chat_id="42")
_WORDS = ("all yes", "all", "person telegram:42", "person :", "on", "off", "全部 确认", "用户 test:小王")


class AdminsDesk:
    """One admin, and a conversation that they can give orders about."""

    def __init__(self, home: Path) -> None:
        url = sqlite_url(home / "desk.db")
        migrate(url)
        self._rooms = Rooms(connect(url))
        self.conversation_id = self._rooms.answered("我睡不着", "我在听").conversation_id
        office = Office(keys=self._rooms.keys, texts=texts.load("zh"), admins=(_BOSS,))
        self._desk = Desk(office=office, shows_texts=True, max_length=4000)
        with self._rooms.database.begin() as session:
            people.locked(session, self._rooms.keys, channel="telegram", user_id="42", now=self._rooms.clock())

    def hear(self, text: str) -> str | None:
        """What the admin is told."""
        with self._rooms.database.begin() as session:
            now = self._rooms.clock() + timedelta(hours=1)
            done = self._desk.obey(Caller(session, _BOSS, now), text)
            session.rollback()
        return done

    def close(self) -> None:
        self._rooms.database.close()


def order(mutator: Mutator, desk: AdminsDesk) -> str:
    """An order about somebody, or nearly one."""
    chance = mutator.chance
    whom = chance.choice((str(desk.conversation_id), desk.conversation_id.hex[:8], *_WORDS, mutator.text()))
    line = f"/admin {chance.choice(list(Verb))} {whom} {mutator.text()}"
    return mutator.like((line,)) if chance.random() < 0.5 else line


@cache
def desk() -> AdminsDesk:
    """This process's."""
    home = TemporaryDirectory(prefix="mindglm-fuzz-")
    opened = AdminsDesk(Path(home.name))
    atexit.register(home.cleanup)
    atexit.register(opened.close)
    return opened
