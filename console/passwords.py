"""Staff passwords: argon2id, a few at a time, with the same effort for unknown names; judged by zxcvbn when chosen."""

import secrets
import threading
import tomllib
import unicodedata
from functools import cache
from importlib.resources import files
from itertools import product

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from dialogue.errors import DialogueError

MIN_LENGTH = 10
MAX_LENGTH = 128
_MIN_SCORE = 3
_JUDGED_LENGTH = 72
"""zxcvbn takes no longer ones; what follows can only make a password better."""

_hasher = PasswordHasher()  # RFC 9106's second choice: 64 MiB, 3 passes
_AT_ONCE = threading.BoundedSemaphore(2)  # many simultaneous sign-ins cost time, not memory


class WeakPassword(DialogueError):
    """The password is shorter than 10 characters, longer than 128, or easily guessed."""


def digest(password: str, *, name: str) -> str:
    """The hash to store; raises `WeakPassword`."""
    plain = _normalised(password)
    if not MIN_LENGTH <= len(plain) <= MAX_LENGTH or _is_guessable(plain, name=name):
        raise WeakPassword
    with _AT_ONCE:
        return _hasher.hash(plain)


def _is_guessable(plain: str, *, name: str) -> bool:
    """As zxcvbn judges it; a pass of 3 means 10^8 guesses and more: https://github.com/dropbox/zxcvbn#usage."""
    from zxcvbn import zxcvbn  # reads its dictionaries, which nobody needs who only signs in

    verdict = zxcvbn(plain[:_JUDGED_LENGTH], user_inputs=[name, "mindglm", *_guessable()])
    return bool(verdict["score"] < _MIN_SCORE)


@cache
def _guessable() -> tuple[str, ...]:
    """Chinese words and whole names in Latin letters; the name of a person is one guess, not two."""
    lists = tomllib.loads((files("console") / "guessable.toml").read_text("utf-8"))
    surnames, given = lists["surnames"].split(), lists["given"].split()
    names = ("".join(parts) for parts in product(surnames, given))
    return (*lists["words"].split(), *surnames, *given, *names)


def fits(stored: str | None, password: str) -> bool:
    """Whether the password matches; a hash of None takes as long and never matches."""
    plain = _normalised(password)[: MAX_LENGTH + 1]
    with _AT_ONCE:
        try:
            return _hasher.verify(stored or _nobodys(), plain)
        except VerifyMismatchError:
            return False


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())


def _normalised(password: str) -> str:
    """Unicode-normalised: the same password however the keyboard composes it."""
    return unicodedata.normalize("NFKC", password)
