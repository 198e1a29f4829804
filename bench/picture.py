"""A picture of a real conversation: `mindglm chat` with the bundled model, drawn as a terminal.

python -m bench.picture [FILE]              # writes docs/pictures/chat.svg, unless another is named
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

FILE = Path(__file__).parents[1] / "docs" / "pictures" / "chat.svg"
SAID = [
    "我最近总是失眠，白天没有精神",
    "工作压力很大，我怕自己做不好",
    "我今晚就要去死，药已经买好了",
    "结束对话",
]
_COLUMNS = 78
_SQUEEZED = re.compile(r' textLength="[0-9.]+"')  # rich takes a Chinese character for as wide as a Latin one
_FOREIGN_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_LABELS = {"求助者:": "bold cyan", "支持者:": "bold green"}


def converse() -> tuple[str, str]:
    """What the terminal shows before, and the dialogue."""
    with tempfile.TemporaryDirectory(prefix="mg-") as home:
        done = subprocess.run(
            [sys.executable, "-m", "mindglm", "chat"],
            input="".join(f"{line}\n" for line in SAID),
            env={**os.environ, "MINDGLM_HOME": home},
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stderr.strip().splitlines()[0], done.stdout.strip()


def draw(notice: str, dialogue: str) -> str:
    """As SVG, which loads nothing from elsewhere."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    console.print(Text("$ python3 dev.py chat", style="dim"))
    console.print(Text(notice, style="yellow"))
    for line in dialogue.splitlines():
        label = next((label for label in _LABELS if line.startswith(label)), "")
        console.print(Text.assemble((label, _LABELS.get(label, "")), line[len(label) :]))
    return _SQUEEZED.sub("", _FOREIGN_FONTS.sub("", console.export_svg(title="mindglm chat")))


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(draw(*converse()), encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
