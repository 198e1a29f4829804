"""The least that a Telegram bot can do: poll, ask the model for each message, send the answer. Nothing is kept.

    python -m bench.echo_bot                # one person's turns with it, measured as `bench.peers` does

What a bot takes above this is its own; the rest is the platform, the model and the loopback.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

import aiohttp
import psutil

from bench.fake_model import MODEL
from bench.peers import Side, measure, model
from bench.servers import ended
from dialogue.process import event_loop
from tests.bot.telegram.flood import Flood
from tests.bot.telegram.loopback import TOKEN, Telegram

_POLL_SECONDS = 25
_LOOK_SECONDS = 0.1


async def serve(api_url: str, model_url: str) -> None:
    """Answer everything until cancelled."""
    answering: set[asyncio.Task[None]] = set()
    asked: dict[str, int] = {"timeout": _POLL_SECONDS}
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.post(f"{api_url}/getUpdates", data=asked) as response:
                updates = (await response.json())["result"]
            for update in updates:
                asked["offset"] = update["update_id"] + 1
                task = asyncio.create_task(_answer(http, api_url, model_url, update["message"]))
                answering.add(task)
                task.add_done_callback(answering.discard)


async def _answer(http: aiohttp.ClientSession, api_url: str, model_url: str, message: dict[str, Any]) -> None:
    question = {"model": MODEL, "messages": [{"role": "user", "content": message["text"]}]}
    async with http.post(f"{model_url}/chat/completions", json=question) as response:
        text = (await response.json())["choices"][0]["message"]["content"]
    async with http.post(f"{api_url}/sendMessage", data={"chat_id": message["chat"]["id"], "text": text}) as response:
        await response.read()


def compare(*, people: int, seconds: float, model_seconds: float) -> None:
    """Print what the people wait for."""
    telegram = Telegram(flood=Flood(group_per_minute=None)).start()
    try:
        with model(model_seconds) as model_url:
            argv = [sys.executable, "-m", "bench.echo_bot", "--serve", f"{telegram.api_url}{TOKEN}", model_url]
            process = subprocess.Popen(argv)
            with ended(process):
                while not telegram.count("getUpdates"):
                    time.sleep(_LOOK_SECONDS)
                side = Side(name="echo", telegram=telegram, processes={"echo": psutil.Process(process.pid)})
                measure(side, people=people, seconds=1)
                print(asdict(measure(side, people=people, seconds=seconds)))
    finally:
        telegram.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serve", nargs=2, metavar=("API", "MODEL"), help="be the bot, at these addresses")
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--model-seconds", type=float, default=0.2)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        event_loop.run(serve(*arguments.serve))
        return
    compare(people=arguments.people, seconds=arguments.seconds, model_seconds=arguments.model_seconds)


if __name__ == "__main__":
    main()
