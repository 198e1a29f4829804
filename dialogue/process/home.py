"""The defaults when no database or broker is set: a SQLite file and a private Valkey in the home directory."""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings

_PRIVATE_DIRECTORY = 0o700
_BROKER_SCHEMES = ("redis://", "rediss://", "redis+socket://")
_COPIES_DAYS = 7
"""A database server has a WAL and, nearly always, backups of its own."""
_MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 104 bytes on macOS, 108 on Linux


def keep_private() -> None:
    """Set the umask: only this user may read what this process and its children write (database, logs, sockets)."""
    os.umask(0o077)


def database_url(settings: DialogueSettings) -> str:
    """The URL that is set, or the SQLite file in the home."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        return _with_password(url, settings.database_password, "MINDGLM_DATABASE")
    return f"sqlite:///{home(settings) / 'mindglm.db'}"


def broker_socket(settings: DialogueSettings) -> Path:
    """Where the private Valkey listens when no broker is set: in the home, or, if that path is too long for a
    socket, in a private directory beside the temporary files.
    """
    socket = home(settings) / "valkey.sock"
    if len(os.fsencode(socket)) <= _MAX_SOCKET_PATH_BYTES:
        return socket
    digest = hashlib.sha256(os.fsencode(socket)).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"mindglm-{os.getuid()}-{digest}"
    directory.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise Misconfigured(f"{directory} belongs to somebody else; set MINDGLM_HOME to a shorter path.")
    return directory / "valkey.sock"


def broker_url(settings: DialogueSettings) -> str:
    """The Redis URL that is set, or that of the private Valkey, in Celery's form."""
    if settings.broker_url is not None:
        url = settings.broker_url.get_secret_value()
        if not url.startswith(_BROKER_SCHEMES):
            raise Misconfigured(f"MINDGLM_BROKER_URL must begin with one of {', '.join(_BROKER_SCHEMES)}.")
        return _with_password(url, settings.broker_password, "MINDGLM_BROKER")
    return f"redis+socket://{quote(str(broker_socket(settings)))}"


def backups(settings: DialogueSettings) -> Path:
    """The directory of our own backups; it need not exist."""
    directory = settings.backup_directory or settings.home / "backups"
    return directory.expanduser().absolute()


def copies_days(settings: DialogueSettings) -> int:
    """How long copies that this program does not make may hold the key of somebody who was erased (days)."""
    if settings.copies_days is not None:
        return settings.copies_days
    return 0 if database_url(settings).startswith("sqlite") else _COPIES_DAYS


def home(settings: DialogueSettings) -> Path:
    try:
        settings.home.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"MINDGLM_HOME cannot be used: {error.strerror}: {settings.home}") from error
    return settings.home.resolve()


def _with_password(url: str, password: SecretStr | None, variable: str) -> str:
    """The same URL with the password in it, escaped as SQLAlchemy, kombu and redis-py expect it."""
    if password is None:
        return url
    place = urlsplit(url).netloc
    user, _, host = place.rpartition("@")
    if not place or ":" in user:
        raise Misconfigured(f"{variable}_PASSWORD is set, but {variable}_URL names no host, or a password already.")
    escaped = quote(password.get_secret_value(), safe="")
    return url.replace(f"//{place}", f"//{user}:{escaped}@{host}", 1)
