"""How a call of Tencent's APIs can fail; the codes that all of them have in common."""

from typing import Final

OK: Final = 0
_ABOUT_TOKEN: Final = (40001, 40014, 42001)
_BUSY: Final = (-1, 6000, 45033)


class ApiError(Exception):
    """The platform answered with an error. `ip` is our own address, where it says that it is not listed."""

    def __init__(self, code: int, path: str, *, is_about_message_id: bool = False, ip: str = "") -> None:
        super().__init__(f"{path}: {code}")
        self.code = code
        self.path = path
        self.is_about_message_id = is_about_message_id
        self.ip = ip

    @property
    def is_about_token(self) -> bool:
        return self.code in _ABOUT_TOKEN

    @property
    def is_busy(self) -> bool:
        return self.code in _BUSY


class Unreachable(Exception):
    """No answer came. Unless it `never_arrived`, the request may have been served all the same."""

    def __init__(self, reason: str, *, never_arrived: bool = False) -> None:
        super().__init__(reason)
        self.never_arrived = never_arrived
