"""One PostgreSQL for all processes that test, made ready while the tests are being collected."""

import os
import shutil
import tempfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from dialogue.storage import schema
from tests.services.databases import Databases
from tests.services.postgres import PostgresServer


class PreparedPostgres:
    """A server and a database with this code's schema, started by a fork of this process that lives until `stop`."""

    def __init__(self) -> None:
        self._connection, its = Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._connection.close()
            _serve(its)
        its.close()
        self._urls: tuple[str, str] | None = None

    def urls(self) -> tuple[str, str]:
        """Of the server, and of the database to be copied; waits until both are there."""
        if self._urls is None:
            made = self._connection.recv()
            if isinstance(made, str):
                raise RuntimeError(f"PostgreSQL could not be made ready: {made}")
            self._urls = made
        return self._urls

    def stop(self) -> None:
        self._connection.close()
        os.waitpid(self._pid, 0)


def _serve(parent: Connection) -> NoReturn:
    """Until the parent stops it or dies."""
    os.setsid()  # Ctrl-C in a terminal is for the tests, which still need it then
    directory = Path(tempfile.mkdtemp(prefix="mg-"))
    try:
        server = PostgresServer(directory)
        server.start()
        template = Databases(server.url()).make()
        schema.upgrade_at(template)
        parent.send((server.url(), template))
        parent.poll(None)
        server.stop()
    except Exception as error:  # noqa: BLE001 - the outermost place of this process
        parent.send(f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(0)
