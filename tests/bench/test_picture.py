"""The picture of the README is drawn from a conversation, and the one that is there shows today's words."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import picture
from care import texts


def words_of(file: Path) -> str:
    """Everything that stands in the picture, as one line."""
    lines = re.findall(r"<text[^>]*>([^<]*)</text>", file.read_text("utf-8"))
    return re.sub(r"\s", "", html.unescape("".join(lines)))


@pytest.mark.e2e
def test_the_picture_shows_what_was_really_said(tmp_path: Path) -> None:
    file = tmp_path / "chat.svg"
    subprocess.run([sys.executable, "-m", "bench.picture", str(file)], capture_output=True, check=True)
    drawn, kept = words_of(file), words_of(picture.FILE)
    crisis = kept.partition(picture.SAID[2])[2]
    assert crisis, "somebody is in danger in it"
    assert drawn.partition(picture.SAID[2])[2] == crisis, "python -m bench.picture draws it anew"
    assert all(f"求助者:{said}" in drawn for said in picture.SAID)


def test_the_picture_shows_todays_farewell() -> None:
    farewell = re.sub(r"\s", "", texts.load("zh").say("command_end"))
    assert farewell in words_of(picture.FILE)
