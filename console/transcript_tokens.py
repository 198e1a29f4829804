"""A sitting: one member of staff reads one conversation, from opening its words until they leave. It is audited once.

Its token is sealed by the session: it is worth nothing to anybody else, for another conversation, or after signing out.
"""

import hmac
from datetime import datetime, timedelta
from uuid import UUID

from console.sessions import SignedIn

LONGEST = timedelta(hours=4)


def begin(who: SignedIn, conversation_id: UUID, *, now: datetime) -> str:
    """The token of a new sitting."""
    return _token(who, conversation_id, int(now.timestamp()))


def goes_on(who: SignedIn, conversation_id: UUID, token: str, *, now: datetime) -> bool:
    """Whether the token is of a sitting of that member with that conversation, which has not lasted too long."""
    began, _, _ = token.partition(".")
    if not (began.isascii() and began.isdecimal()) or now.timestamp() - int(began) > LONGEST.total_seconds():
        return False
    return hmac.compare_digest(token.encode(), _token(who, conversation_id, int(began)).encode())


def _token(who: SignedIn, conversation_id: UUID, began: int) -> str:
    return f"{began}.{who.seal(f'sitting {conversation_id} {began}')}"
