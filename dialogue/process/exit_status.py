"""How processes end: one table for every command. The numbers up to 78 are those of sysexits.h."""

import os
from enum import IntEnum

from dialogue.errors import DialogueError, EnvironmentFault, Misconfigured, SchemaMismatch


class ExitStatus(IntEnum):
    """A supervisor starts again after each of them, except after `OK`, `USAGE` and `CONFIG`."""

    OK = 0  # done, or stopped as it was told
    FAILED = 1  # it failed; or what was asked about is not healthy
    USAGE = 2  # wrong usage, or not confirmed
    UNAVAILABLE = 69  # the address to listen on is taken
    SOFTWARE = 70  # the engine or its GPU cannot go on; a new process may
    TEMPFAIL = 75  # database, broker or model server are away; a later start may succeed
    CONFIG = 78  # a setting, the key or the schema is wrong: no restart mends it
    STUCK = 79  # told to stop, but something did not end within its limit
    INTERRUPTED = 130  # Ctrl-C in the middle of something


def status_of(error: BaseException) -> ExitStatus:
    """The status with which an expected error ends a process."""
    if isinstance(error, Misconfigured | SchemaMismatch):
        return ExitStatus.CONFIG
    if isinstance(error, EnvironmentFault):
        return ExitStatus.TEMPFAIL
    if isinstance(error, DialogueError):
        return ExitStatus.FAILED
    return ExitStatus.SOFTWARE


def end_now(status: ExitStatus) -> None:
    """End the process at once, whatever its threads are doing."""
    os._exit(status)
