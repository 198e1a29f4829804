"""How replies reach people just now: an account that turns out not to be verified can only answer in its requests."""

from bot.channels.oa.settings import Replying


class ReplyingMode:
    """Changes once at most: an account is not verified while we run, or we are not told."""

    def __init__(self, mode: Replying) -> None:
        self._mode = mode

    @property
    def is_passive(self) -> bool:
        return self._mode is Replying.PASSIVE

    def become_passive(self) -> None:
        """The platform takes no customer-service messages of this account."""
        self._mode = Replying.PASSIVE
