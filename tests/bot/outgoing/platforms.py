"""A platform that takes whatever it is sent."""

from typing import Any

from dialogue.messages import OwedText
from dialogue.rights.export import File
from tests.builders import CHANNEL


class TakesAll:
    """Takes texts and files."""

    def __init__(self, name: str = CHANNEL) -> None:
        self.name = name
        self.sent: list[str] = []
        self.files: list[File] = []

    async def send(self, text: OwedText) -> str | None:
        self.sent.append(text.text)
        return None

    async def send_files(self, text: OwedText, files: Any) -> str | None:
        self.sent.append(text.text)
        self.files.extend(files)
        return None
