"""Fetches files of people from the Bot API, over connections of their own: texts never wait for one.

https://core.telegram.org/bots/api#getfile. The addresses hold the token, so none is logged or raised.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from telegram.error import BadRequest, Forbidden

from bot.channels.telegram.bot_api import BotApi
from bot.channels.telegram.http_pool import HttpPool, TooLong
from bot.executors import PriorityExecutor
from bot.incoming.medium_fetcher import MediumUnavailable
from dialogue.states import MediumLoss

_OK = 200
_LOSSES = (
    ("too big", MediumLoss.TOO_LARGE),
    ("wrong file identifier", MediumLoss.GONE),
    ("wrong file_id specified", MediumLoss.GONE),
    ("invalid file_id", MediumLoss.GONE),
    ("wrong remote file", MediumLoss.GONE),
)
"""What its descriptions mean; the others, such as "temporarily unavailable", may be different the next time."""


class NotFetched(Exception):
    """The server gave no file this time; the argument is a status or a short name."""


class Downloads:
    """Of one bot. `api_url` is the Bot API's base; `open_pool` is called when something is first fetched."""

    def __init__(
        self, bot: BotApi, *, api_url: str, open_pool: Callable[[], HttpPool], reading: PriorityExecutor
    ) -> None:
        self._bot = bot
        self._files_url = _files_url(api_url)
        self._is_on_this_network = not (urlsplit(api_url).hostname or "").endswith("telegram.org")
        self._open_pool = open_pool
        self._pool: HttpPool | None = None
        self._reading = reading

    async def fetch(self, reference: str, max_bytes: int) -> bytes:
        """Raises `MediumUnavailable`; `TelegramError` and `NotFetched` for what may succeed later."""
        path, size = await self._find(reference)
        if size is not None and size > max_bytes:
            raise MediumUnavailable(MediumLoss.TOO_LARGE)
        if PurePosixPath(path).is_absolute() and self._is_on_this_network:
            return await self._reading.run(lambda: _read(Path(path), max_bytes))
        try:
            url = f"{self._files_url}{self._bot.token}/{quote(path)}"
            status, content = await (await self._connected()).download(url, max_bytes=max_bytes)
        except TooLong:
            raise MediumUnavailable(MediumLoss.TOO_LARGE) from None
        if status != _OK:
            raise NotFetched(status)
        return content

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.shutdown()

    async def _connected(self) -> HttpPool:
        if self._pool is None:
            self._pool = self._open_pool()
            await self._pool.initialize()
        return self._pool

    async def _find(self, reference: str) -> tuple[str, int | None]:
        try:
            file = await self._bot.file(reference)
        except Forbidden:
            raise MediumUnavailable(MediumLoss.REFUSED) from None
        except BadRequest as error:
            loss = next((loss for words, loss in _LOSSES if words in error.message.lower()), None)
            if loss is None:
                raise
            raise MediumUnavailable(loss) from None
        path, size = _path(file), file.get("file_size") if isinstance(file, dict) else None
        if not path:
            raise NotFetched("no_path")
        return path, size if isinstance(size, int) else None


def _path(file: Any) -> str:
    path = file.get("file_path") if isinstance(file, dict) else None
    return path if isinstance(path, str) else ""


def _files_url(api_url: str) -> str:
    """`…/bot` has its files at `…/file/bot`."""
    before, _, last = api_url.rpartition("/")
    return f"{before}/file/{last}"


def _read(path: Path, max_bytes: int) -> bytes:
    """A Bot API server of one's own, in its local mode, names a file of its machine instead of sending it."""
    try:
        if path.stat().st_size > max_bytes:
            raise MediumUnavailable(MediumLoss.TOO_LARGE)
        return path.read_bytes()
    except OSError:  # of another machine, or not to be read by us
        raise MediumUnavailable(MediumLoss.REFUSED) from None
