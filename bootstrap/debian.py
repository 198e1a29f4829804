"""Programs that only the end-to-end tests need: installed from Debian when run as root, else named in a message."""

import os
import shutil
import subprocess

from bootstrap.trouble import Trouble, say

_PACKAGES = {
    "chromium": ("chromium", "fonts-noto-cjk"),  # the web console, and a font for Chinese
    "node": ("nodejs",),  # the WeChat gateway
    "npm": ("npm",),
}
"""Package by the program whose presence proves that it is installed."""


def need_programs() -> None:
    """Raises `Trouble` if packages are missing and cannot be installed."""
    missing = [name for program, names in _PACKAGES.items() if shutil.which(program) is None for name in names]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Trouble(f"the end-to-end tests need more; as root on Debian: apt-get install {' '.join(missing)}")
    say(f"installing Debian packages: {' '.join(missing)}")
    for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", *words],  # noqa: S607 - wherever this Debian has it
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode != 0:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise Trouble(f"apt-get {words[0]} failed: {last}")
