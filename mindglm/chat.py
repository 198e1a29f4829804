"""`mindglm chat`: the whole system in one terminal, for one person, with nothing to install.

Broker and worker are started first and load in parallel with everything else; the first prompt does not wait for
the model. Only light modules are imported here, so that they start at once.
"""

import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from care import texts
from dialogue.errors import DialogueError
from dialogue.process.exit_status import ExitStatus, status_of
from dialogue.process.home import keep_private
from dialogue.process.region import directory_of
from dialogue.process.settings import DialogueSettings
from mindglm import language, lean, local_processes
from mindglm.background import Background
from mindglm.supervise import FinalExit, Kept
from worker.settings import WorkerSettings

_WORKER_GRACE_SECONDS = 2.0
"""On exit, a reply in progress may take this long; then it is released and arrives next time."""


class Leave(BaseException):
    """Ctrl-C, a closed terminal or SIGTERM: stop now, in order."""


def run(settings: DialogueSettings, *, has_worker: bool, has_timings: bool) -> int:
    """Hold the conversation; returns the exit status."""
    keep_private()
    timings = _Timings(is_shown=has_timings)
    words = texts.load(settings.locale)
    status(words.say("console_notice", **directory_of(settings.region).fillings(settings.locale)))
    status(words.say("console_consent", retention_days=settings.retention_days))
    if has_worker and WorkerSettings.read().is_bundled_model:
        status(words.say("console_toy"))
    _read_and_write_utf8()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    trouble: list[FinalExit] = []
    try:
        with Background() as background, _kept(background, settings, timings, trouble, has_worker=has_worker):
            with lean.services():
                from mindglm import terminal

            terminal.converse(settings, background, status, timings.took)
    except Leave:
        if not trouble:
            status("\n" + words.say("console_interrupted"))
            return ExitStatus.INTERRUPTED
        status(f"\nmindglm chat: {trouble[0]}")
        return ExitStatus.CONFIG
    except BrokenPipeError:
        return _leave_the_pipe()
    except DialogueError as error:
        status(f"mindglm chat: {trouble[0] if trouble else error}")
        return ExitStatus.CONFIG if trouble else status_of(error)
    return ExitStatus.OK


def status(line: str) -> None:
    """Everything except the dialogue goes to stderr."""
    language.echo(line, to_stderr=True)


@contextmanager
def _kept(
    background: Background,
    settings: DialogueSettings,
    timings: "_Timings",
    trouble: list[FinalExit],
    *,
    has_worker: bool,
) -> Iterator[None]:
    """Broker and worker, from before the first prompt to after the last."""
    programs = [local_processes.broker(settings)]
    if has_worker:
        programs.append(local_processes.worker(settings, grace_seconds=_WORKER_GRACE_SECONDS))
    kept = [Kept(program, timings.report) for program in programs if program is not None]
    for process in kept:
        background.call(_start(process))
        background.start(_interrupt_on_trouble(process, trouble))
    try:
        yield
    finally:
        for process in reversed(kept):
            background.call(process.stop())


async def _start(process: Kept) -> None:
    process.start()


async def _interrupt_on_trouble(process: Kept, trouble: list[FinalExit]) -> None:
    """A process that cannot run at all ends the conversation, wherever the main thread is waiting."""
    try:
        await process.watch()
    except FinalExit as error:
        trouble.append(error)
        os.kill(os.getpid(), signal.SIGTERM)


class _Timings:
    """With ``--timings``: what took how long since the start of the process, on stderr."""

    def __init__(self, *, is_shown: bool) -> None:
        self._started_at: float | None = None
        if is_shown:
            import psutil

            self._started_at = psutil.Process().create_time()

    def took(self, what: str) -> None:
        if self._started_at is not None:
            status(f"{time.time() - self._started_at:7.2f} s  {what}")

    def report(self, name: str, line: str) -> None:
        self.took(f"{name}: {line}")


def _leave(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # leaving takes a moment; a second Ctrl-C must not tear it apart
    raise Leave


def _leave_the_pipe() -> int:
    """The reader of our output is gone; Python must not complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitStatus.OK


def _read_and_write_utf8() -> None:
    """Bytes that are no UTF-8 become U+FFFD, as they do everywhere else."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
