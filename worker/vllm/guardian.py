"""Runs a command that does not outlive the process that asked for it, even if that one is killed.

Run by path in a bare interpreter: ``guardian.py GRACE_SECONDS COMMAND …``. The end of its standard input is the order
to end; the system closes the other side when its owner dies, however it dies. The command's children are in its
process group and end with it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

_SHELL_SIGNAL_STATUS = 128


def _main(grace_seconds: float, argv: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which the command would inherit
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603 - the operator's command
    threading.Thread(target=_end_with_input, args=(process.pid, grace_seconds), daemon=True).start()
    status = process.wait()
    _signal(process.pid, signal.SIGKILL)  # children that it left behind
    return status if status >= 0 else _SHELL_SIGNAL_STATUS - status


def _end_with_input(group: int, grace_seconds: float) -> None:
    """SIGTERM when the input ends, SIGKILL after the grace."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    _signal(group, signal.SIGTERM)
    time.sleep(grace_seconds)
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of zombies
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(_main(float(sys.argv[1]), sys.argv[2:]))
