"""The `openai` engine on a model server of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from typing import Any

from tests.services.http_server import running
from worker.engine.completions import Server
from worker.engine.openai import OpenAI


@contextmanager
def engine_on(server: HTTPServer, **options: Any) -> Iterator[OpenAI]:
    """A started engine; `options` are fields of its `Server`."""
    with running(server) as root:
        engine = OpenAI(Server(base_url=f"{root}/v1", **options), capacity=4)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()
