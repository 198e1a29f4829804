"""Programs out of Debian packages: the machine's own, or unpacked beside the test, with nothing installed."""

import shutil
import subprocess
from pathlib import Path


def program(name: str, *, package: str, directory: Path) -> Path:
    """Where to run it; fails the test where it can be had from nowhere."""
    if found := shutil.which(name):
        return Path(found)
    assert shutil.which("apt-get"), f"{name} is not installed, and without apt-get it cannot be fetched"
    fetch = ["apt-get", "download", package]
    done = subprocess.run(fetch, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # lists that were never fetched, or are old
        subprocess.run(["apt-get", "update"], check=False, capture_output=True)
        done = subprocess.run(fetch, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = directory.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, directory], check=True)
    archive.unlink()
    return directory / "usr" / "bin" / name
