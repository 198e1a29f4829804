"""Where things are in a checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "dev.json"
LOCKS = ROOT / "requirements"


def site_packages() -> Path:
    """Where .venv keeps its packages."""
    (directory,) = VENV.glob("lib/python3.*/site-packages")
    return directory


def interpreter() -> str:
    """The file behind .venv's Python; an upgrade of the system's Python changes it."""
    return os.path.realpath(PYTHON)
