"""A real Valkey that may be stopped, killed and started again on the same socket."""

import contextlib
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from mindglm.valkey import Valkey, start


class ValkeyServer:
    """Serves a socket in `directory`; nothing survives a stop, as with the product's own broker."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "valkey.sock"
        self._log_file = directory / "valkey.log"
        self._running: Valkey | None = None

    @property
    def url(self) -> str:
        """In Celery's form, the same before and after a restart."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        self._running = start(self.socket, log_file=self._log_file)

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None

    def kill(self) -> None:
        """SIGKILL; the socket's file stays behind."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()
            self._running = None

    def flush(self) -> None:
        """Everything in it is gone."""
        with Redis(unix_socket_path=str(self.socket)) as redis, contextlib.suppress(RedisError):
            redis.flushall()
