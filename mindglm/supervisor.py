"""The process that stays when `mindglm up` has checked and prepared everything: it imports next to nothing.

`become` replaces the running process by it, so that the process id, the terminal and the lock of the home stay.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NoReturn

from dialogue.process.ending import end_tasks
from dialogue.process.exit_status import ExitStatus
from mindglm.language import echo, say
from mindglm.supervise import FinalExit, Kept, Program


def become(programs: Sequence[Program], lock: IO[str]) -> NoReturn:
    """Supervise these programs from here on, and hold the lock until the end."""
    with tempfile.TemporaryFile() as plan:
        plan.write(json.dumps([_written(program) for program in programs]).encode("utf-8"))
        plan.seek(0)
        for file in (plan, lock):
            os.set_inheritable(file.fileno(), True)
        sys.stdout.flush()
        sys.stderr.flush()
        argv = [sys.executable, "-m", __name__, str(plan.fileno()), str(lock.fileno())]
        os.execv(sys.executable, argv)  # noqa: S606 - our own module, and no shell sees it


async def supervise(programs: Sequence[Program]) -> None:
    """Until SIGTERM or SIGINT; then the last started stops first. Raises `FinalExit`."""
    kept = [Kept(program, report) for program in programs]
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for process in kept:
        process.start()
    ending = asyncio.create_task(stopping.wait())
    watching = [asyncio.create_task(process.watch()) for process in kept]
    try:
        done, _ = await asyncio.wait({ending, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end_tasks((ending, *watching))
        for process in reversed(kept):
            with contextlib.suppress(FinalExit):
                await process.stop()


def report(name: str, line: str) -> None:
    """One line on stderr; the name is bold in a terminal."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {bold}{name:<10}{plain}{say(line)}\n")
    sys.stderr.flush()


def _written(program: Program) -> dict[str, Any]:
    return asdict(program) | {"log": os.fspath(program.log), "lock": program.lock and os.fspath(program.lock)}


def _read(written: dict[str, Any]) -> Program:
    lock = written["lock"]
    return Program(**written | {"log": Path(written["log"]), "lock": Path(lock) if lock else None})


def _main(plan_descriptor: int, lock_descriptor: int) -> int:
    """0 after Ctrl-C or SIGTERM, 78 when a process cannot run at all."""
    os.set_inheritable(lock_descriptor, False)
    with os.fdopen(plan_descriptor, "rb") as plan:
        programs = [_read(written) for written in json.load(plan)]
    try:
        asyncio.run(supervise(programs))
    except FinalExit as error:
        echo(f"{error.name} cannot run: {error}", to_stderr=True)
        return ExitStatus.CONFIG
    return ExitStatus.OK


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), int(sys.argv[2])))
