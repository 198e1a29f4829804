"""Faults that the operator must mend, as sentences for `mindglm health`, `mindglm doctor` and the log."""

from collections import Counter

from bot.channels.tencent.errors import ApiError
from bot.channels.wecom.errors import ACCOUNT_LOST, NO_RIGHTS, REFUSED_FOR_GOOD, SWITCHED_OFF, Code
from bot.health import Health

_PAGE = "docs/wecom.md"
_UNANNOUNCED_PULLS = 2
"""One may be what came while we were away, or a notice that was lost."""
_MAX_EARLY_ENDS = 5
"""Of tokens within an hour: WeCom ends one now and then, but not again and again."""


class Trouble:
    """What WeCom's answers say about how it is set up; each fault lasts until it is seen to be mended."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._unannounced: Counter[str] = Counter()

    def refused(self, error: ApiError, *, account: str = "") -> None:
        """WeCom refused a call."""
        name, sentence = describe(error, account=account)
        self._health.fault(name, sentence)

    def answered(self) -> None:
        """WeCom accepts us: our address, our secret and our rights are in order."""
        for name in ("ip_not_listed", "no_right", "switched_off", "credentials", "too_often", "refused"):
            self._health.mended(name)

    def tokens(self, *, ended_early: int) -> None:
        """So many of our access tokens were ended before their time within an hour."""
        if ended_early > _MAX_EARLY_ENDS:
            self._health.fault(
                "tokens",
                "WeCom ends our access tokens before their time, again and again: another program uses the Secret of "
                f"this app, or it is being reset; give the other one an app of its own ({_PAGE})",
            )
        else:
            self._health.mended("tokens")

    def misread(self) -> None:
        """A notice bears our signature and is not encrypted with our key, or not for our organisation."""
        self._health.fault(
            "misread",
            "a notice is signed with MINDGLM_WECOM_CALLBACK_TOKEN, but MINDGLM_WECOM_AES_KEY or MINDGLM_WECOM_CORP_ID "
            f"does not open it: copy Token and EncodingAESKey from the same page 接收消息 ({_PAGE})",
        )

    def grabbed(self, account: str) -> None:
        """A session was given to a colleague before we could answer, and nobody had asked for one."""
        self._health.fault(
            f"grabbed {account}",
            f"colleagues on duty take every new session of {account}, so the bot may not answer (95018): "
            f"end their duty for this account, or let 智能助手 take new sessions ({_PAGE})",
        )

    def is_ours(self, account: str) -> None:
        """A message was sent there."""
        self._health.mended(f"grabbed {account}")

    def no_accounts(self) -> None:
        """The app may use no customer-service account, or none of those that the settings name."""
        self._health.fault(
            "no_accounts",
            f"the app may use no customer-service account that is to be served: give it one under "
            f"微信客服 → 可调用接口的应用, or mend MINDGLM_WECOM_ACCOUNTS ({_PAGE})",
        )

    def has_accounts(self) -> None:
        self._health.mended("no_accounts")

    def noticed(self, account: str) -> None:
        """The callback was called."""
        self._health.mended("misread")
        del self._unannounced[account]
        self._health.mended(f"silent {account}")

    def pulled(self, account: str, *, item_count: int, has_notice: bool) -> None:
        """Pulls without a fresh notice find messages again and again: the callback is not called."""
        self._unannounced[account] += bool(item_count and not has_notice)
        if self._unannounced[account] >= _UNANNOUNCED_PULLS:
            self._health.fault(
                f"silent {account}",
                f"messages of {account} came without a notice: check the callback's URL and, for this account, "
                f"客服账号 → 事件接收服务器 ({_PAGE})",
            )


def describe(error: ApiError, *, account: str = "") -> tuple[str, str]:
    """The name of a fault, and a sentence for the operator."""
    name = _name(error.code)
    return name if name != "gone" else f"gone {account}", _SENTENCES[name].format(
        code=error.code, path=error.path, account=account, ip=error.ip or "of this host", page=_PAGE
    )


def _name(code: int) -> str:
    return next((name for name, codes in _CODES.items() if code in codes), "refused")


_CODES: dict[str, tuple[Code, ...]] = {
    "ip_not_listed": (Code.IP_NOT_LISTED,),
    "no_right": NO_RIGHTS,
    "switched_off": SWITCHED_OFF,
    "credentials": REFUSED_FOR_GOOD,
    "too_many_customers": (Code.TOO_MANY_CUSTOMERS,),
    "banned": (Code.BANNED_FOR_WORDS,),
    "gone": ACCOUNT_LOST,
    "too_often": (Code.TOO_OFTEN,),
}
_SENTENCES = {
    "ip_not_listed": "WeCom refuses our address {ip} (60020): add it to 企业可信IP ({page})",
    "no_right": "the app may not do {path} ({code}): add it to 微信客服 → 可调用接口的应用, and the colleagues to its "
    "可见范围 ({page})",
    "switched_off": "微信客服 does not belong to the API ({code}): switch it on for the app ({page})",
    "credentials": "WeCom refuses MINDGLM_WECOM_CORP_ID or MINDGLM_WECOM_SECRET ({code}): copy both again from its "
    "console ({page})",
    "too_many_customers": "the organisation is not verified and has served its 100 people (95003): have it verified "
    "({page})",
    "banned": "WeCom has banned the account for sensitive words (40201): appeal in its console ({page})",
    "gone": "the customer-service account {account} is gone ({code}) ({page})",
    "too_often": "WeCom counts too many calls (45009): wait a minute ({page})",
    "refused": "WeCom refused {path} with {code} ({page})",
}
