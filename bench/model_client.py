"""Our client for OpenAI-compatible servers beside the official one: processor time, and what each of them survives.

    python -m bench.model_client                  # needs the package `openai`, which the project itself does not use
    python -m bench.model_client --replies 400 --json

The server is another process on the loopback and streams one character an event.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console
from rich.table import Table

from worker.engine.completions import Completions, Server
from worker.engine.output_collector import OutputCollector
from worker.engine.port import Request

_WORDS = "谢谢你愿意把这些告诉我，听起来这段时间真的很不容易，你已经撑了很久了。"
_MODEL = "model"
_AT_ONCE = 8


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": _MODEL, "choices": [choice]}
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


_DONE = b"data: [DONE]\n\n"
_PLAIN = b"".join(map(_event, _WORDS)) + _event("", "stop") + _DONE
_STREAMS = {
    "plain": _PLAIN,
    "U+2028 and U+0085": _event("我\u2028在\u0085听") + _event("", "stop") + _DONE,
    "byte order mark": b"\xef\xbb\xbf" + _event("我在听") + _event("", "stop") + _DONE,
    "CR as the line end": (_event("我在听") + _event("", "stop") + _DONE).replace(b"\n", b"\r"),
    "no blank lines": (_event("我在") + _event("听", "stop") + _DONE).replace(b"\n\n", b"\n"),
    "no end of the last event": _event("我在听") + _event("", "stop").rstrip(b"\n"),
    "an answer that is no stream": json.dumps(
        {"choices": [{"message": {"content": "我在听"}, "finish_reason": "stop"}]}, ensure_ascii=False
    ).encode(),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stream = _PLAIN

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(json.dumps({"data": [{"id": _MODEL}]}).encode(), "application/json")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.split("/")[1]
        self._answer(list(_STREAMS.values())[int(name)], "text/event-stream")

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _serve(port: "Connection[int, int]") -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    port.send(server.server_port)
    server.serve_forever()


Ask = Callable[[str], Awaitable[str]]
"""Asks the server at that base URL for one reply; returns its text."""


async def _ours(url: str) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    client = Completions(Server(base_url=url, model=_MODEL), max_connections=_AT_ONCE)
    await client.start()

    async def ask(_url: str) -> str:
        collector = OutputCollector(time.monotonic() + 5)
        request = Request(id="1", instruction="", history=(), text="累", max_tokens=64, deadline_seconds=5)
        await client.reply(request, collector)
        *_, last = collector.read()
        return last.text

    return ask, client.stop


async def _official(url: str) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    from openai import AsyncOpenAI  # type: ignore[import-not-found,unused-ignore]  # only this bench uses it

    client: Any = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)

    async def ask(_url: str) -> str:
        stream = await client.chat.completions.create(
            model=_MODEL, messages=[{"role": "user", "content": "累"}], max_tokens=64, stream=True
        )
        return "".join([event.choices[0].delta.content or "" async for event in stream if event.choices])

    return ask, client.close


async def _measure(make: Callable[[str], Any], base: str, replies: int) -> dict[str, str]:
    """Milliseconds of processor time a reply, and for each stream whether its words came."""
    row: dict[str, str] = {}
    for number, name in enumerate(_STREAMS):
        url = f"{base}/{number}/v1"
        ask, close = await make(url)
        try:
            text = await asyncio.wait_for(ask(url), 10)
            row[name] = "read" if text in {_WORDS, "我在听", "我\u2028在\u0085听"} else "wrong words"
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            row[name] = type(error).__name__
        finally:
            await close()
    ask, close = await make(f"{base}/0/v1")
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with gate:
            await ask(base)

    await asyncio.gather(*(one() for _ in range(_AT_ONCE)))
    began = time.process_time()
    await asyncio.gather(*(one() for _ in range(replies)))
    row["ms of processor a reply"] = f"{(time.process_time() - began) / replies * 1000:.2f}"
    await close()
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replies", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    base = f"http://127.0.0.1:{ours.recv()}"
    rows = {
        name: asyncio.run(_measure(make, base, arguments.replies))
        for name, make in (("ours", _ours), ("openai", _official))
    }
    server.terminate()
    if arguments.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return 0
    table = Table(title="Clients of a model's server")
    for column in ("", *rows):
        table.add_column(column)
    for name in rows["ours"]:
        table.add_row(name, *(row[name] for row in rows.values()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
