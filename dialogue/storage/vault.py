"""Keeps texts unreadable at rest: AES-256-GCM, a data key per person, wrapped by the master key.

A person is erased by deleting their data key. Each text is bound to its row and column, so rows cannot be swapped.
"""

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dialogue.errors import Erased, Misconfigured, Unreadable, WrongSecretKey

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"
KEY_ID_BYTES = 4


def new_secret() -> str:
    """A fresh master key as `MINDGLM_SECRET_KEY` takes it: base64 of 32 random bytes."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


@dataclass(frozen=True, slots=True)
class PersonKey:
    """Seals and opens the texts of one person."""

    _cipher: AESGCM = field(repr=False)

    def seal(self, text: str, *, row: UUID, column: str) -> bytes:
        """Encrypt `text` for the column (as ``table.column``) of that row."""
        return self.seal_bytes(text.encode("utf-8"), row=row, column=column)

    def open(self, sealed: bytes, *, row: UUID, column: str) -> str:
        """The text that `seal` was given for the same row and column; raises `Unreadable`."""
        return self.open_bytes(sealed, row=row, column=column).decode("utf-8")

    def seal_bytes(self, content: bytes, *, row: UUID, column: str) -> bytes:
        """The same for what is no text."""
        return _encrypt(self._cipher, content, _associated(row, column))

    def open_bytes(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        """What `seal_bytes` was given for the same row and column; raises `Unreadable`."""
        return _decrypt(self._cipher, sealed, _associated(row, column))


class MasterKeys:
    """The key ring: the first key wraps, all of them unwrap, so that keys can be rotated."""

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])
        self._deriving = hashlib.sha256(b"mindglm derive" + keys[0]).digest()

    @classmethod
    def parse(cls, secret: str) -> Self:
        """Read `MINDGLM_SECRET_KEY`: one base64 key, or several with commas, newest first; raises `Misconfigured`."""
        return cls([_parse_key(part.strip()) for part in secret.split(",")])

    @property
    def current(self) -> bytes:
        """The prefix of every data key wrapped by the current master key."""
        return self._current

    def knows(self, wrapped: bytes) -> bool:
        """Whether one of these master keys wrapped it."""
        return wrapped[:KEY_ID_BYTES] in self._ciphers

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all of them, the wrapping one first."""
        return tuple(key_id.hex() for key_id in self._ciphers)

    @property
    def current_id(self) -> str:
        """An id of the current wrapping key that reveals nothing about it."""
        return self._current.hex()

    def derived(self, purpose: str) -> bytes:
        """32 bytes that only who has the current master key can make, the same again for the same purpose."""
        return hmac.new(self._deriving, purpose.encode("utf-8"), hashlib.sha256).digest()

    def new_data_key(self, person_id: UUID) -> bytes:
        """A fresh data key for that person, wrapped."""
        return self._wrap(os.urandom(KEY_BYTES), person_id)

    def rewrap(self, wrapped: bytes, person_id: UUID) -> bytes:
        """The same data key under the current master key."""
        return self._wrap(self._unwrap(wrapped, person_id), person_id)

    def person_key(self, wrapped: bytes | None, person_id: UUID) -> PersonKey:
        """Raises `Erased` when there is no key any more and `WrongSecretKey` when no master key opens it."""
        if wrapped is None:
            raise Erased
        return PersonKey(AESGCM(self._unwrap(wrapped, person_id)))

    def _wrap(self, data_key: bytes, person_id: UUID) -> bytes:
        sealed = _encrypt(self._ciphers[self._current], data_key, _associated(person_id, "people.data_key"))
        return self._current + sealed

    def _unwrap(self, wrapped: bytes, person_id: UUID) -> bytes:
        key_id, sealed = wrapped[:KEY_ID_BYTES], wrapped[KEY_ID_BYTES:]
        if key_id not in self._ciphers:
            raise WrongSecretKey(
                f"The database was written with master key {key_id.hex()}; MINDGLM_SECRET_KEY holds another one."
            )
        return _decrypt(self._ciphers[key_id], sealed, _associated(person_id, "people.data_key"))


def _parse_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise Misconfigured(f"MINDGLM_SECRET_KEY must be the base64 of {KEY_BYTES} bytes (44 characters).")
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"mindglm key id" + key).digest()[:KEY_ID_BYTES]


def _associated(row: UUID, column: str) -> bytes:
    return f"{column}:{row.hex}".encode("ascii")


def _encrypt(cipher: AESGCM, data: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + cipher.encrypt(nonce, data, associated)


def _decrypt(cipher: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    version, nonce, body = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if version != _VERSION:
        raise Unreadable
    try:
        return cipher.decrypt(nonce, body, associated)
    except (InvalidTag, ValueError) as error:
        raise Unreadable from error
