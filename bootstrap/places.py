"""Paths in a checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "dev.json"
LOCKS = ROOT / "requirements"


def site_packages() -> Path:
    """The site-packages directory of .venv."""
    (directory,) = VENV.glob("lib/python3.*/site-packages")
    return directory


def interpreter() -> str:
    """The real path of .venv's Python; it changes when the system's Python is upgraded."""
    return os.path.realpath(PYTHON)
