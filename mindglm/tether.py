"""Ties a command to the process that starts it: when that one dies, even by ``kill -9``, the command gets SIGTERM.

`tethered` puts this file, run by path in a bare interpreter, in front of the command; the process id stays the same.
Linux ties to the *thread* that starts the process, so start it from one that lives as long as the command should.
Elsewhere there is no such bond and the command runs as it is.
"""

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_STATUS_ORPHANED = 70


def tethered(argv: Sequence[str]) -> list[str]:
    """What runs `argv`, whose first item is an absolute path, tied to this process."""
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv]


def _main(parent_id: int, argv: list[str]) -> None:
    import ctypes  # not at the top: the process that starts the command does without

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_id:  # it died before the bond was made
        sys.exit(_STATUS_ORPHANED)
    os.execv(argv[0], argv)  # noqa: S606 - the list comes from `tethered`, and no shell sees it


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
