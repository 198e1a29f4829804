"""Keeps one vLLM server running: starts it, waits until it answers, watches it, starts it again."""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from worker.engine.port import ModelUnusable
from worker.vllm.process import ServerProcess

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_USAGE_STATUS = 2
"""Of a command line that cannot be understood: no other start would help."""
_MAX_FIRST_STARTS = 3
"""The port may be taken by then, or a predecessor may still hold the GPU's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a server on a port of the loopback, with a key that only this process knows."""

    name: str
    argv: Callable[[int], Sequence[str]]
    environment: Callable[[str], Mapping[str, str]]
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for what, in seconds."""

    start: float = 1200
    progress: float = 15
    look: float = 0.1
    health: float = 5
    unwell: float = 60
    grace: float = 20
    first_pause: float = 1
    longest_pause: float = 30
    stable: float = 60


class Replica:
    """One server and the thread that keeps it running, from `start` to `stop`."""

    def __init__(self, launch: Launch, *, patience: Patience | None = None) -> None:
        self.name = launch.name
        self.key = secrets.token_urlsafe(32)
        self.port: int | None = None
        self.starts = 0
        self.metrics = ""
        self._launch = launch
        self._patience = patience or Patience()
        self._failure: str | None = None
        self._has_begun = threading.Event()  # it answered once, or cannot
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=launch.name, daemon=True)
        self._client = httpx.Client(trust_env=False, timeout=self._patience.health)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        """Until it answers for the first time. Raises `ModelUnusable` if it cannot."""
        self._has_begun.wait()
        if self._failure is not None:
            raise ModelUnusable(self._failure)

    def stop(self) -> None:
        """End the server and the thread."""
        self._stopping.set()
        self._has_begun.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._client.close()

    def _keep(self) -> None:
        pause = self._patience.first_pause
        while not self._stopping.is_set():
            began_at = time.monotonic()
            failure = self._run()
            if self._stopping.is_set():
                return
            if not self._has_begun.is_set() and failure is not None:
                self._failure = failure
                self._has_begun.set()
                return
            if time.monotonic() - began_at > self._patience.stable:
                pause = self._patience.first_pause
            log.warning("vllm_restarts", server=self.name, pause_seconds=pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, self._patience.longest_pause)

    def _run(self) -> str | None:
        """One server until it ends; why, if it never answered and another attempt would not help."""
        port = free_port()
        self.starts += 1
        try:
            process = ServerProcess(
                self._launch.argv(port),
                environment=self._launch.environment(self.key),
                log=self._launch.log,
                grace_seconds=self._patience.grace,
            )
        except OSError as error:
            return f"{self._launch.argv(port)[0]} cannot be run: {error.strerror}."
        with process:
            log.info("vllm_started", server=self.name, port=port)
            if self._is_up(process, port):
                self._has_begun.set()
                self.port = port
                self._watch(process, port)
                self.port = None
            return self._verdict(process)

    def _is_up(self, process: ServerProcess, port: int) -> bool:
        """Wait until it answers with the model, to our key: another server could have taken the port."""
        began_at = reported_at = time.monotonic()
        while process.status() is None and not self._stopping.wait(self._patience.look):
            if self._answers(port, "/health") and self._answers(port, "/v1/models"):
                log.info("vllm_ready", server=self.name, seconds=round(time.monotonic() - began_at, 1))
                return True
            now = time.monotonic()
            if now - began_at > self._patience.start:
                log.error("vllm_not_ready", server=self.name, seconds=round(now - began_at))
                return False
            if now - reported_at > self._patience.progress:
                reported_at = now
                # before anybody was answered its words can be nobody's
                log.info("vllm_starting", server=self.name, seconds=round(now - began_at), says=process.newest_line)
        return False

    def _watch(self, process: ServerProcess, port: int) -> None:
        """Until it ends, or has not been well for too long."""
        well_at = looked_at = time.monotonic()
        while process.status() is None and not self._stopping.wait(self._patience.look):
            now = time.monotonic()
            if now - looked_at < self._patience.health:
                continue
            if self._answers(port, "/health"):
                well_at = time.monotonic()
                self.metrics = self._read_metrics(port)
            elif now - well_at > self._patience.unwell:
                log.error("vllm_unwell", server=self.name, seconds=round(now - well_at))
                return
            looked_at = time.monotonic()

    def _verdict(self, process: ServerProcess) -> str | None:
        self.metrics = ""
        status = process.status()
        if self._stopping.is_set():
            return None
        log.warning("vllm_ended", server=self.name, status=status, log=str(self._launch.log))
        if self._has_begun.is_set():
            return None
        if status is None:
            return (
                f"vLLM did not answer within {self._patience.start:.0f} s (MINDGLM_VLLM_START_SECONDS); it last said: "
                f"{process.newest_line} All of it: {self._launch.log}"
            )
        sentence = process.sentence()
        if status != _USAGE_STATUS and self.starts < _MAX_FIRST_STARTS:
            log.warning("vllm_start_failed", server=self.name, says=sentence)
            return None
        return f"vLLM ended with status {status} before it answered: {sentence} All of it: {self._launch.log}"

    def _answers(self, port: int, path: str) -> bool:
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            return self._client.get(f"http://127.0.0.1:{port}{path}", headers=headers).is_success
        except httpx.HTTPError:
            return False

    def _read_metrics(self, port: int) -> str:
        try:
            answer = self._client.get(f"http://127.0.0.1:{port}/metrics")
        except httpx.HTTPError:
            return ""
        return answer.text if answer.is_success else ""


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
