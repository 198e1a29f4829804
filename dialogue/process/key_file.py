"""Master keys: from the settings, or from a key file in the home directory, created on first use."""

import os
import tempfile
from pathlib import Path

from dialogue.process.home import home
from dialogue.process.settings import DialogueSettings
from dialogue.storage.vault import MasterKeys, new_secret


def master_keys(settings: DialogueSettings) -> MasterKeys:
    """The keys from the settings, or from the key file. Raises `Misconfigured` for an invalid key.

    Processes on several hosts must be given the same key by `MINDGLM_SECRET_KEY`; each would else make its own, and
    `people.check_master_key` refuses a key that the database does not know.
    """
    if settings.secret_key is not None:
        return MasterKeys.parse(settings.secret_key.get_secret_value())
    file = home(settings) / "secret.key"
    if not file.exists():
        _write_private(file, new_secret())
    return MasterKeys.parse(file.read_text("ascii").strip())


def _write_private(file: Path, secret: str) -> None:
    """Create it with mode 0600, atomically; of two processes the first one wins."""
    descriptor, draft = tempfile.mkstemp(prefix=file.name, dir=file.parent)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secret + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
