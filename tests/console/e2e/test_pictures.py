"""What a person shows to the human who answers, as Chromium shows it: a picture on a click, a voice that plays."""

import io
import struct
import wave
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from dialogue.messages import MediumOffer
from dialogue.states import MediumKind
from tests.console.conftest import House
from tests.console.e2e.conftest import keep
from tests.console.test_media import OFFER, shown
from tests.patience import wait_until

Open = Callable[..., Page]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

VOICE = MediumOffer(kind=MediumKind.VOICE, reference="file-2", mark="u2", name="")


def png(width: int, height: int) -> bytes:
    """Plain blue."""
    rows = b"".join(b"\0" + b"\x40\x80\xc0" * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(seconds: int) -> bytes:
    """Silence."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * 8000 * seconds))
    return written.getvalue()


def reading(house: House, open_desk: Open, content: bytes, offer: MediumOffer) -> Page:
    """The transcript of a conversation in which that was shown, opened."""
    place = f"/conversations/{house.rooms.heard('你好').conversation_id}"
    shown(house, place, content, offer)
    page = open_desk("fang")
    page.goto(place)
    page.click("button:has-text('打开对话内容')")
    return page


def test_a_picture_is_seen_on_a_click(house: House, open_desk: Open) -> None:
    page = reading(house, open_desk, png(320, 200), replace(OFFER, name="房间.png"))
    picture = page.locator("img[src*='/media/']")
    expect(picture).not_to_be_visible()
    page.locator("details.medium summary", has_text="房间.png").click()
    expect(picture).to_be_visible()
    wait_until(lambda: page.evaluate("document.querySelector('details.medium img').naturalWidth") == 320)
    keep(page, "picture")


def test_a_voice_can_be_played(house: House, open_desk: Open) -> None:
    page = reading(house, open_desk, wav(seconds=2), VOICE)
    expect(page.locator("audio")).to_be_visible()
    page.evaluate("document.querySelector('audio').load(); document.querySelector('audio').preload = 'auto'")
    wait_until(lambda: page.evaluate("document.querySelector('audio').duration") == 2)
    keep(page, "voice")
