"""WeCom's error codes, by what is to be done about them.

https://developer.work.weixin.qq.com/document/path/90313; those from 95000 on are customer service's.
"""

from enum import IntEnum


class Code(IntEnum):
    """Those that we know."""

    OK = 0
    SYSTEM_BUSY = -1
    VERSION_CONFLICT = 6000
    INVALID_CREDENTIAL = 40001
    MEDIA_GONE = 40007
    INVALID_CORP_ID = 40013
    INVALID_TOKEN = 40014
    BAD_PARAMETER = 40058
    BANNED_FOR_WORDS = 40201
    CORP_ID_MISSING = 41001
    TOKEN_EXPIRED = 42001
    TOO_OFTEN = 45009
    TOO_MANY_AT_ONCE = 45033
    NO_RIGHT = 48002
    IP_NOT_LISTED = 60020
    NO_PRIVILEGE = 60030
    ACCOUNT_WRONG = 95000
    BUDGET_SPENT = 95001
    WINDOW_CLOSED = 95002
    TOO_MANY_CUSTOMERS = 95003
    ACCOUNT_GONE = 95004
    BAD_PULL_TOKEN = 95007
    NOT_USED_INSIDE = 95011
    USED_INSIDE = 95012
    SESSION_OVER = 95013
    SERVICER_NOT_ON_DUTY = 95014
    WRONG_CHANGE = 95016
    API_SWITCHED_OFF = 95017
    NOT_OUR_TURN = 95018
    NO_AUTHORITY = 301002


REFUSED_FOR_GOOD = (Code.INVALID_CREDENTIAL, Code.INVALID_CORP_ID, Code.CORP_ID_MISSING)
"""Of a request for a token: no restart mends them."""
NO_RIGHTS = (Code.NO_RIGHT, Code.NO_AUTHORITY, Code.NO_PRIVILEGE)
SWITCHED_OFF = (Code.NOT_USED_INSIDE, Code.USED_INSIDE, Code.API_SWITCHED_OFF)
ACCOUNT_LOST = (Code.ACCOUNT_WRONG, Code.ACCOUNT_GONE)
NOT_NOW = (Code.NOT_OUR_TURN, Code.SESSION_OVER)
"""Somebody else speaks, or nobody may until the person writes."""

FAIL_REASONS = {
    0: "unknown_failure",
    1: "account_deleted",
    2: "app_closed",
    4: "window_closed",
    5: "session_closed",
    6: "budget_spent",
    7: "no_video_account",
    8: "not_verified",
    9: "not_verified",
    10: "refused_by_person",
    11: "nobody_logged_in",
    13: "safety_limit",
}
"""`fail_type` of the event msg_send_fail, as short names for the outbox."""

REFUSED_BY_PERSON = 10


def is_known(code: int) -> bool:
    """Whether it is one of ours."""
    return code in Code._value2member_map_
