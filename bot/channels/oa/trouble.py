"""Faults that the operator must mend, as sentences for `mindglm health`, `mindglm doctor` and the log."""

from bot.channels.oa.errors import BLOCKED, CREDENTIALS, Code
from bot.channels.tencent.errors import ApiError
from bot.health import Health

_PAGE = "docs/oa.md"
_MAX_EARLY_ENDS = 5
"""Of tokens within an hour: one ends now and then, but not again and again."""
_OF_ANSWERS = ("ip_not_listed", "blocked", "credentials", "too_often", "quota", "refused")


class OaTrouble:
    """What the platform's answers say about how the account is set up; each lasts until it is seen to be mended."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def refused(self, error: ApiError) -> None:
        """The platform refused a call."""
        self._health.fault(*describe(error))

    def answered(self) -> None:
        """The platform accepts us: our address, our secret and our account are in order."""
        for name in _OF_ANSWERS:
            self._health.mended(name)

    def tokens(self, *, ended_early: int) -> None:
        """So many of our access tokens were ended before their time within an hour."""
        if ended_early > _MAX_EARLY_ENDS:
            self._health.fault(
                "tokens",
                "our access tokens are ended before their time, again and again: the AppSecret is being reset, or "
                f"another program forces new ones (force_refresh) ({_PAGE})",
            )
        else:
            self._health.mended("tokens")

    def not_verified(self) -> None:
        """The account may not send customer-service messages."""
        self._health.fault(
            "not_verified",
            "the account is not verified, so that it may not send messages (48001): it replies only while WeChat "
            "waits, and says the rest when the person writes again; have it verified, or set MINDGLM_OA_MODE=passive "
            f"({_PAGE})",
        )

    def misread(self) -> None:
        """A push bears our signature and is not encrypted with our key, or not for our account."""
        self._health.fault(
            "misread",
            "a push is signed with MINDGLM_OA_CALLBACK_TOKEN, but MINDGLM_OA_AES_KEY or MINDGLM_OA_APP_ID does not "
            f"open it: copy Token and EncodingAESKey from the same page 服务器配置 ({_PAGE})",
        )

    def in_clear(self) -> None:
        """A push came without encryption."""
        self._health.fault(
            "in_clear",
            f"WeChat pushes messages in clear, and they are refused: choose 安全模式 under 服务器配置 ({_PAGE})",
        )

    def stale(self, seconds: float) -> None:
        """A push is signed, and was signed long ago or will be."""
        self._health.fault(
            "stale",
            f"a push was signed {abs(seconds) / 60:.0f} minutes from now and is refused: set this host's clock, unless "
            f"somebody repeats old requests ({_PAGE})",
        )

    def understood(self) -> None:
        """A push could be read."""
        for name in ("misread", "in_clear", "stale"):
            self._health.mended(name)


def describe(error: ApiError) -> tuple[str, str]:
    """The name of a fault, and a sentence for the operator."""
    name = _name(error.code)
    return name, _SENTENCES[name].format(code=error.code, path=error.path, ip=error.ip or "of this host", page=_PAGE)


def _name(code: int) -> str:
    return next((name for name, codes in _CODES.items() if code in codes), "refused")


_CODES: dict[str, tuple[Code, ...]] = {
    "ip_not_listed": (Code.IP_NOT_LISTED,),
    "credentials": CREDENTIALS,
    "blocked": BLOCKED,
    "too_often": (Code.TOO_OFTEN,),
    "quota": (Code.DAY_QUOTA_USED,),
}
_SENTENCES = {
    "ip_not_listed": "WeChat refuses our address {ip} (40164): add it to the account's API IP 白名单 ({page})",
    "credentials": "WeChat refuses MINDGLM_OA_APP_ID or MINDGLM_OA_SECRET ({code}): copy the AppID, and reset the "
    "AppSecret if it was not kept ({page})",
    "blocked": "WeChat has blocked the account or {path} for a breach of its rules ({code}): appeal in its console "
    "({page})",
    "too_often": "WeChat counts too many calls (45011): wait a minute ({page})",
    "quota": "the account has used up what it may call of {path} today (45009): it ends at midnight; clear_quota, by "
    "hand, ten times a month ({page})",
    "refused": "WeChat refused {path} with {code} ({page})",
}
