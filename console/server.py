"""The console process: serves until a signal, reports readiness and heartbeats."""

import socket

import structlog
import uvicorn

from console.app import create_app
from console.board import Board
from console.services import ConsoleServices
from dialogue.process.ports import CONSOLE_OFFSET
from dialogue.process.stop_limit import StopLimit
from dialogue.process.systemd import notify_ready
from dialogue.telemetry.heartbeat import Identity
from dialogue.telemetry.watch import Watch

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_SHUTDOWN_SECONDS = 10
_STOP_SECONDS = 30.0
"""Longest time from the end of the last request's patience to the end of the process."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, board: Board) -> None:
        super().__init__(config)
        self._board = board
        self._stop_limit = StopLimit(_STOP_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop_limit.begin()
        self._board.end()  # open duty desks would keep their connections
        await super().shutdown(sockets)

    def has_stopped(self) -> None:
        self._stop_limit.met()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            log.info("console_ready")
            notify_ready()


def serve(services: ConsoleServices) -> bool:
    """Returns at SIGTERM or Ctrl-C; False if it could not listen."""
    settings = services.settings
    server = _Server(
        uvicorn.Config(
            create_app(services),
            host=settings.console_host,
            port=settings.console_port,
            http="h11",  # strict, whichever parsers are installed: a request line holds printable ASCII only
            access_log=False,  # paths contain one-time links
            log_config=None,
            server_header=False,
            proxy_headers=settings.console_url is not None,
            forwarded_allow_ips=settings.console_proxies,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ),
        services.board,
    )
    watch = Watch(
        database=services.database,
        me=Identity(kind="console", name=settings.console_listen),
        figures=dict,
        checks={"broker": services.signals.check},
        instruments=services.instruments,
        settings=settings,
        metrics_offset=CONSOLE_OFFSET,
        keys=services.keys,
    )
    watch.start()
    try:
        server.run()
    except SystemExit:  # uvicorn ends the process, with a status of its own, where it cannot listen
        return False
    finally:
        watch.stop()
        server.has_stopped()
    return server.started
