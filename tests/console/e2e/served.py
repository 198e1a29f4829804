"""The console of this process, served on loopback: its clock is the test's, and its line can be cut."""

import socket
import threading
from typing import Self

import uvicorn

from console.app import create_app
from tests.console.conftest import House
from tests.patience import wait_until


class ServedHouse:
    """From entering to leaving; `cut` closes every connection, `mend` serves on the same port again."""

    def __init__(self, house: House) -> None:
        self.house = house
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self._port: int = listener.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_error: object) -> None:
        self.cut()

    def mend(self) -> None:
        app = create_app(self.house.services)
        self._server = server = uvicorn.Server(
            uvicorn.Config(app, port=self._port, log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
        )
        self._thread = threading.Thread(target=server.run)
        self._thread.start()
        wait_until(lambda: server.started, 30)

    def cut(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = None
