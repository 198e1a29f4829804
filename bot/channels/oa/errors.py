"""The error codes of Official Accounts, by what is to be done about them.

https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
"""

from enum import IntEnum


class Code(IntEnum):
    """Those that we know."""

    INVALID_CREDENTIAL = 40001
    UNKNOWN_PERSON = 40003
    MEDIA_GONE = 40007
    INVALID_APP_ID = 40013
    INVALID_TOKEN = 40014
    IP_NOT_LISTED = 40164
    INVALID_SECRET = 40125
    NO_MENUS = 40200
    TOKEN_EXPIRED = 42001
    NOT_A_FOLLOWER = 43004
    ON_BLACK_LIST = 43019
    TOO_LONG = 45002
    DAY_QUOTA_USED = 45009
    TOO_OFTEN = 45011
    WINDOW_CLOSED = 45015
    BUDGET_SPENT = 45047
    NO_MENU_YET = 46003
    NOT_VERIFIED = 48001
    REFUSED_BY_PERSON = 48002
    BLOCKED = 48004
    WRONG_KIND = 48008
    ACCOUNT_LIMITED = 50002


REFUSED_FOR_GOOD = (Code.INVALID_CREDENTIAL, Code.INVALID_APP_ID, Code.INVALID_SECRET)
"""Of a request for a token: no restart mends them."""
CREDENTIALS = (*REFUSED_FOR_GOOD, Code.INVALID_TOKEN, Code.TOKEN_EXPIRED)
PERSON_GONE = (Code.NOT_A_FOLLOWER, Code.ON_BLACK_LIST, Code.REFUSED_BY_PERSON)
BLOCKED = (Code.BLOCKED, Code.ACCOUNT_LIMITED)
NO_SUCH_KIND = (Code.NO_MENUS, Code.WRONG_KIND)
