"""The processes of a single-host installation: a private Valkey if no broker is set, and a worker."""

import sys

from dialogue.process import home
from dialogue.process.settings import DialogueSettings
from mindglm import valkey
from mindglm.supervise import Program


def broker(settings: DialogueSettings) -> Program | None:
    """The private Valkey of the home, shared by all that use it; None where a broker is set."""
    if settings.broker_url is not None:
        return None
    return Program(
        name="broker",
        argv=valkey.command(home.broker_socket(settings)),
        log=home.home(settings) / "logs" / "valkey.log",
        lock=home.home(settings) / "valkey.lock",
        grace_seconds=5,
    )


def worker(settings: DialogueSettings, *, grace_seconds: float) -> Program:
    """A worker; with the private Valkey one for the whole home, else one for each that asks."""
    return Program(
        name="worker",
        argv=[sys.executable, "-m", "mindglm", "worker"],
        log=home.home(settings) / "logs" / "worker.log",
        lock=home.home(settings) / "worker.lock" if settings.broker_url is None else None,
        environment={"MINDGLM_SHUTDOWN_SECONDS": f"{grace_seconds:g}"},
        grace_seconds=grace_seconds + _RELEASE_SECONDS,
        is_notifying=True,
    )


_RELEASE_SECONDS = 10.0
"""What a worker needs to release its model after the last reply."""


def channel(name: str, settings: DialogueSettings) -> Program:
    """The adapter of one chat platform."""
    return Program(
        name=name,
        argv=[sys.executable, "-m", "mindglm", name],
        log=home.home(settings) / "logs" / f"{name}.log",
        is_notifying=True,
        grace_seconds=30,
    )


def backups(settings: DialogueSettings) -> Program | None:
    """A backup a day; None where none are wanted. Several supervisors of a home share it."""
    if not settings.backup_keep:
        return None
    directory = home.backups(settings)
    return Program(
        name="backup",
        argv=[
            *(sys.executable, "-m", "mindglm", "admin", "backup", str(directory)),
            *("--every-hours", "24", "--keep", str(settings.backup_keep)),
        ],
        log=home.home(settings) / "logs" / "backup.log",
        lock=home.home(settings) / "backup.lock",
        grace_seconds=10,
    )
