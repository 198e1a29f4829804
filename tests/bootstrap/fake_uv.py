"""A wheel that calls itself uv: it notes what it is asked for, and installs tools that note their being run."""

import base64
import hashlib
import zipfile
from pathlib import Path

_EXECUTABLE = 0o100755

PROGRAM = '''\
#!python
import os, sys, sysconfig, time
from pathlib import Path

TOOL = """#!{python}
import os, sys
from pathlib import Path
name = Path(sys.argv[0]).name
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(" ".join([name, *sys.argv[1:]]) + chr(10))
sys.exit(int(os.environ.get("FAKE_" + name.upper().replace("-", "_"), "0")))
"""

words = " ".join(sys.argv[1:])
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write("uv " + words + chr(10))
time.sleep(0.2)
if os.environ.get("FAKE_UV_FAILS_AT", "nowhere") in words:
    sys.exit("fake uv: as told")
site = Path(sysconfig.get_path("purelib"))
for word in sys.argv:
    if word.startswith("torch=="):
        (site / (word.replace("==", "-") + ".dist-info")).mkdir()
if "dev.txt" in words:
    for name in ("ruff", "mypy", "lint-imports", "pytest"):
        tool = Path(sys.executable).with_name(name)
        tool.write_text(TOOL.format(python=sys.executable))
        tool.chmod(0o755)
'''


def build(directory: Path, *, version: str) -> str:
    """Put the wheel into `directory`; returns its line for a hashed requirements file."""
    stem = f"uv-{version}"
    files = {
        f"{stem}.data/scripts/uv": PROGRAM,
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: uv\nVersion: {version}\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_record_hash(text)},{len(text.encode())}\n" for name, text in files.items())
    files[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n"
    wheel = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = _EXECUTABLE << 16
            archive.writestr(entry, text)
    return f"uv=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _record_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
