"""Runs a command as somebody else than root, because PostgreSQL refuses to run as root.

In a user namespace of its own the command sees an ordinary user, while its files stay root's: no user is made on the
machine and no directory is opened to others. Some containers forbid such namespaces (`is_possible`).
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_ORDINARY_ID = 1000


def in_namespace(argv: Sequence[str]) -> list[str]:
    """What runs `argv` in a user namespace; the process id stays the same."""
    return [sys.executable, "-I", "-S", __file__, *argv]


def is_possible() -> bool:
    """Whether this machine lets root make a user namespace."""
    return subprocess.run(in_namespace(["/bin/true"]), check=False, capture_output=True).returncode == 0


def _main(argv: list[str]) -> None:
    outer_user, outer_group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_ORDINARY_ID} {outer_user} 1")
    Path("/proc/self/gid_map").write_text(f"{_ORDINARY_ID} {outer_group} 1")
    os.execv(argv[0], argv)


if __name__ == "__main__":
    _main(sys.argv[1:])
