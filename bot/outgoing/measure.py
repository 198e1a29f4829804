"""The units in which platforms measure message length."""

from enum import Enum


class Measure(Enum):
    """What a platform counts when it limits the length of a message."""

    UTF16 = "utf16"  # code units: Telegram, WeChat
    UTF8 = "utf8"  # bytes: WeCom, Official Accounts
    CODE_POINTS = "code_points"

    def of(self, text: str) -> int:
        """The length of a text."""
        match self:
            case Measure.UTF16:
                return len(text) + sum(character > "\uffff" for character in text)
            case Measure.UTF8:
                return len(text.encode(errors="surrogatepass"))
            case Measure.CODE_POINTS:
                return len(text)
