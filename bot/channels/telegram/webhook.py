"""Webhook mode: Telegram calls us. We answer 200 only after the update is stored.

Telegram repeats an update that gets no 200, and sends a chat's next update only after the previous one.
"""

import hmac
import json
from typing import Any

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler

from bot.channels.telegram.intake import Intake
from bot.channels.telegram.move_barrier import MoveBarrier
from bot.channels.telegram.raw_fields import Raw
from bot.health import Health
from bot.incoming.faults import Faults
from dialogue.errors import EnvironmentFault, Misconfigured

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name, no secret
_MAX_UPDATE_BYTES = 1 << 20


class Webhook:
    """Listens until closed; also serves `/healthz`."""

    def __init__(self, intake: Intake, health: Health, *, secret: str) -> None:
        shared = {
            "intake": intake,
            "health": health,
            "secret": secret.encode(),
            "faults": Faults(),
            "held_back": set(),
            "barrier": MoveBarrier(),
        }
        routes = [URLSpec(r"/healthz", _Alive), URLSpec(r"/.*", _Updates, shared)]
        self._server = HTTPServer(
            Application(list[Any](routes), log_function=_log_nothing), max_body_size=_MAX_UPDATE_BYTES
        )

    def listen(self, listen: str) -> int:
        """`listen` is host:port; returns the port, which the system chooses for 0. Raises `Misconfigured`."""
        host, _, port = listen.rpartition(":")
        try:
            sockets = bind_sockets(int(port), host or None)
        except (ValueError, OSError) as error:
            raise Misconfigured(f"MINDGLM_TELEGRAM_WEBHOOK_LISTEN cannot be used: {error}") from None
        self._server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Requests in progress are answered first."""
        self._server.stop()
        await self._server.close_all_connections()


class _Updates(RequestHandler):
    def initialize(
        self,
        *,
        intake: Intake,
        health: Health,
        secret: bytes,
        faults: Faults,
        held_back: set[int],
        barrier: MoveBarrier,
    ) -> None:
        self._intake = intake
        self._health = health
        self._secret = secret
        self._faults = faults
        self._held_back = held_back
        self._barrier = barrier

    async def post(self) -> None:
        if not hmac.compare_digest(self.request.headers.get(SECRET_HEADER, "").encode(), self._secret):
            self.set_status(403)
            return
        self._health.heard()
        try:
            raw = _update(self.request.body)
            update_id = int(raw["update_id"])
        except Exception as error:  # noqa: BLE001 - nothing that Telegram sent, however deep or odd
            log.error("update_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold words
            self.set_status(500)
            return
        if not await self._settle(raw, update_id):
            self.set_status(503)  # Telegram repeats it

    async def _settle(self, raw: Raw, update_id: int) -> bool:
        """Stored, or kept for staff."""
        try:
            async with self._barrier.passing(raw, update_id):
                await self._take(raw, update_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the words
            reason = str(error) if isinstance(error, EnvironmentFault) else type(error).__name__
            log.warning("update_refused", error=reason, update_id=update_id)
            self._held_back.add(update_id)
            self._health.holds_back(str(update_id), reason)
            return False
        if update_id in self._held_back:
            self._held_back.remove(update_id)
            self._health.lets_go(str(update_id))
        return True

    async def _take(self, raw: Raw, update_id: int) -> None:
        try:
            await self._intake.take(raw)
        except Exception as error:
            if not self._faults.failed(str(update_id), error):
                raise
            await self._intake.set_aside(raw, error)
        else:
            self._faults.stored(str(update_id))


class _Alive(RequestHandler):
    def get(self) -> None:
        self.write("ok\n")


def _update(body: bytes) -> Raw:
    """Raises `ValueError` for what is no object."""
    update = json.loads(body)
    if not isinstance(update, dict):
        raise ValueError("an update is an object")  # noqa: TRY004 - what came is of another value, not we of another type
    return update


def _log_nothing(_handler: Any) -> None:
    """Access logs would hold addresses and say nothing new."""
