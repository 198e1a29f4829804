"""Stands in for vLLM: its command line, endpoints and streams as documented, and the ways in which it can fail.

`STAND_IN` names a directory. Its `moods.json` says how each start goes, the last one for all that follow; what was
started and asked is written beside it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(os.environ["STAND_IN"])
CONSEQUENCE = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="api_server.py")
    for name in ("--served-model-name", "--host", "--dtype", "--model"):
        parser.add_argument(name, required=True)
    for name in ("--port", "--max-model-len"):
        parser.add_argument(name, required=True, type=int)
    parser.add_argument("--tensor-parallel-size", type=int, default=1)
    parser.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    return parser.parse_args()


def is_mine(file: Path) -> bool:
    try:
        file.open("x").close()
    except FileExistsError:
        return False
    return True


def start() -> tuple[int, dict[str, Any]]:
    number = next(number for number in range(100) if is_mine(HERE / f"number-{number}"))
    told = {"argv": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid()}
    (HERE / f"start-{number}.part").write_text(json.dumps(told))
    (HERE / f"start-{number}.part").rename(HERE / f"start-{number}.json")
    moods = json.loads((HERE / "moods.json").read_text())
    return number, moods[min(number, len(moods) - 1)]


class Handler(BaseHTTPRequestHandler):
    """The endpoints that matter."""

    mood: dict[str, Any]
    number: int
    name: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        is_sick = self.mood.get("sick") or (HERE / f"sick-{self.number}").exists()
        if self.path == "/health":
            self.answer(503 if is_sick else 200, "")
        elif self.path == "/metrics":
            self.answer(200, 'vllm:num_requests_waiting{model_name="MindGLM"} 3.0\npython_info 1.0\n')
        elif self.is_known():
            self.answer(200, json.dumps({"data": [{"id": self.name}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_known():
            return
        with (HERE / f"asked-{self.number}.jsonl").open("a") as asked:
            asked.write(json.dumps(body) + "\n")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for count, piece in enumerate("我在听你说。"):
            if self.mood.get("dies_after") == count or (HERE / f"die-{self.number}").exists():
                os.kill(os.getpid(), signal.SIGKILL)
            self.event({"choices": [{"text": piece, "finish_reason": None}]})
            time.sleep(self.mood.get("pace", 0))
        self.event({"choices": [{"text": "", "finish_reason": "stop"}]})
        self.event({"choices": [], "usage": {"prompt_tokens": len(body["prompt"]), "completion_tokens": 6}})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, event: dict[str, Any]) -> None:
        self.chunk(f"data: {json.dumps(event)}\n\n".encode())

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def is_known(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}":
            return True
        self.answer(401, '{"error": "Unauthorized"}')
        return False

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    asked = arguments()
    number, mood = start()
    if mood.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mood.get("has_child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (HERE / "child").write_text(str(child.pid))
    time.sleep(mood.get("slow", 0))
    if says := mood.get("dies"):
        say(f"(EngineCore pid=7) ERROR 11-29 02:00:00 [core.py:700] {says}")
        say(f"(APIServer pid=6) {CONSEQUENCE}")
        sys.exit(1)
    if mood.get("finds_port_taken"):
        say(f"OSError: [Errno 98] Address already in use ('127.0.0.1', {asked.port})")
        sys.exit(1)
    Handler.mood, Handler.number, Handler.name = mood, number, asked.served_model_name
    server = ThreadingHTTPServer((asked.host, asked.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    say("INFO:     Application startup complete.")
    threading.Event().wait()


if __name__ == "__main__":
    main()
