"""Node packages that end-to-end tests need, as their lock says."""

import hashlib
import shutil
import subprocess
from pathlib import Path


def install(directory: Path) -> None:
    """`npm ci`, unless it was done for this lock."""
    lock = hashlib.sha256((directory / "package-lock.json").read_bytes()).hexdigest()
    stamp = directory / "node_modules" / ".mindglm-lock"
    if stamp.exists() and stamp.read_text() == lock:
        return
    npm = shutil.which("npm")
    assert npm, "these end-to-end tests need node and npm"
    done = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    stamp.write_text(lock)
