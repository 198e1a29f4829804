"""The callback's signature and encryption.

https://developer.work.weixin.qq.com/document/path/90968: the key is the decoded EncodingAESKey, AES-256-CBC, with the
first half of the key as its initialisation vector. The plain text is 16 random bytes, the length of the message in four
bytes (big-endian), the message, and the id of its receiver; it is padded to a multiple of 32.
"""

import base64
import binascii
import hashlib
import hmac
import re
from secrets import token_bytes

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from dialogue.errors import Misconfigured

_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_BLOCK = 32
_RANDOM = 16
_LENGTH = 4


class NotForUs(Exception):
    """Not encrypted with our key, or not for us."""


class CallbackCipher:
    """Verifies and decrypts what is sent to one callback URL."""

    def __init__(self, *, token: str, aes_key: str, receiver_id: str, key_variable: str) -> None:
        """`receiver_id`: ours, a corp id or an app id. Raises `Misconfigured`, which names `key_variable`."""
        if not _AES_KEY.fullmatch(aes_key):
            raise Misconfigured(f"{key_variable} must be the 43 characters of the EncodingAESKey.")
        self._token = token.encode()
        self._receiver_id = receiver_id.encode()
        key = base64.b64decode(aes_key + "=")
        self._cipher = Cipher(AES(key), CBC(key[:_RANDOM]))

    def encrypt(self, message: bytes, *, random: bytes | None = None) -> bytes:
        """`message` for whoever has our key; `random` are 16 bytes that nobody can guess."""
        framed = (random or token_bytes(_RANDOM)) + len(message).to_bytes(_LENGTH) + message + self._receiver_id
        padding = _BLOCK - len(framed) % _BLOCK
        encryptor = self._cipher.encryptor()
        return base64.b64encode(encryptor.update(framed + bytes([padding]) * padding) + encryptor.finalize())

    def sign(self, *parts: bytes) -> bytes:
        """What proves that whoever signed those parts knows our token."""
        return hashlib.sha1(b"".join(sorted([self._token, *parts]))).hexdigest().encode()  # noqa: S324 - Tencent's

    def is_signed(self, signature: bytes, *, timestamp: bytes, nonce: bytes, encrypted: bytes = b"") -> bool:
        """Whether whoever sent it knows our token; without `encrypted`, the signature covers no body."""
        return hmac.compare_digest(self.sign(timestamp, nonce, encrypted), signature)

    def decrypt(self, encrypted: bytes) -> bytes:
        """The message; raises `NotForUs`."""
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except binascii.Error:
            raise NotForUs from None
        if not sealed or len(sealed) % _BLOCK:
            raise NotForUs
        decryptor = self._cipher.decryptor()
        return self._message(decryptor.update(sealed) + decryptor.finalize())

    def _message(self, padded: bytes) -> bytes:
        padding = padded[-1]
        if not 1 <= padding <= _BLOCK or padded[-padding:] != bytes([padding]) * padding:
            raise NotForUs
        framed = padded[_RANDOM:-padding]
        length = int.from_bytes(framed[:_LENGTH])
        message, receiver = framed[_LENGTH : _LENGTH + length], framed[_LENGTH + length :]
        if len(message) != length or not hmac.compare_digest(receiver, self._receiver_id):
            raise NotForUs
        return message
