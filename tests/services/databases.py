"""Databases of a test run's own on servers that it was given: PostgreSQL's, with their end, and Redis's."""

from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from sqlalchemy import URL, make_url


class Databases:
    """Makes databases of its own beside the one that `url` names; `drop_all` removes them even if they are in use."""

    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self._made: list[str] = []

    def make(self, *, like: str | None = None) -> str:
        """The URL of a new database: empty, or a copy of the one at a URL to which nothing is connected."""
        name = f"mindglm_test_{uuid4().hex}"
        template = make_url(like).database if like is not None else "template1"
        # a checkpoint costs nothing where nothing waits for the disk; the default writes every page to the WAL
        _execute(self._server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        self._made.append(name)
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop_all(self) -> None:
        while self._made:
            _execute(self._server, f"DROP DATABASE IF EXISTS {self._made.pop()} WITH (FORCE)")


def _execute(server: URL, statement: str) -> None:
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement.encode())


def own_redis(url: str, process_number: int) -> str:
    """The database of one of several processes that test at once, numbered from the one that `url` names."""
    if process_number == 0:
        return url
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss"}:
        raise ValueError("Where several processes test at once, TEST_REDIS_URL must be redis://host:port/number")
    return parts._replace(path=f"/{int(parts.path.strip('/') or 0) + process_number}").geturl()
