"""A model behind an OpenAI-compatible endpoint that answers everything alike after a fixed time.

python -m bench.fake_model --seconds 0.2      # prints its address, serves until it is ended
"""

import argparse
import asyncio
import json
import sys
from typing import Any

from aiohttp import web

MODEL = "fake"
_ANSWER = "谢谢你愿意把这些告诉我，听起来这段时间真的很不容易。"
_SECONDS = web.AppKey("seconds", float)


def application(seconds: float) -> web.Application:
    """Answers `chat/completions`, streamed or whole, `seconds` after the request, and lists one model."""
    made = web.Application()
    made[_SECONDS] = seconds
    made.router.add_get("/v1/models", _models)
    made.router.add_post("/v1/chat/completions", _complete)
    return made


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 8192}]})


async def _complete(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    await asyncio.sleep(request.app[_SECONDS])
    if not asked.get("stream"):
        message = {"role": "assistant", "content": _ANSWER}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return web.json_response(_body("chat.completion", {"message": message}, "stop") | {"usage": usage})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for delta, finish in (({"role": "assistant", "content": _ANSWER}, None), ({}, "stop")):
        event = json.dumps(_body("chat.completion.chunk", {"delta": delta}, finish), ensure_ascii=False)
        await response.write(f"data: {event}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


def _body(kind: str, content: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {
        "id": "1",
        "object": kind,
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, **content, "finish_reason": finish}],
    }


async def _serve(seconds: float) -> None:
    runner = web.AppRunner(application(seconds), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}/v1\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.2)
    asyncio.run(_serve(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
