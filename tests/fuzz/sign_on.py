"""Single sign-on and codes of authenticator apps, given what a stranger, or a provider that is not ours, may send."""

import base64
import hmac
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx2
import pyotp
from joserfc import jws
from joserfc.jwk import ECKey

from console import second_factor
from console.settings import ConsoleSettings
from console.single_sign_on import (
    IdentityProvider,
    PendingSignIn,
    ProviderUnavailable,
    Purpose,
    SignInDenied,
    VerifiedIdentity,
)
from dialogue.storage.vault import MasterKeys, new_secret
from tests.fuzz.mutation import Mutator

ISSUER = "https://login.example.org"
CLIENT = "console"
_NOW = datetime(2026, 11, 29, tzinfo=UTC)
_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


class Provider:
    """A provider whose answers are chosen; its keys are real."""

    def __init__(self) -> None:
        self.keys = MasterKeys.parse(new_secret())
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.answers: dict[str, Any] = {}
        settings = ConsoleSettings(oidc_issuer=ISSUER, oidc_client_id=CLIENT)
        self.console = IdentityProvider(settings)
        self.console._client.client_kwargs["transport"] = httpx2.MockTransport(self._answer)

    def identity(self, pending: PendingSignIn, token: object, user_info: object) -> VerifiedIdentity:
        self.answers = {"/token": token, "/userinfo": user_info}
        return self.console.identity(pending, "code", redirect_uri="https://console.example.org/back")

    def claims(self, pending: PendingSignIn) -> dict[str, Any]:
        now = int(time.time())
        times = {"iat": now, "exp": now + 600, "auth_time": now}
        who = {"sub": "s-lin", "email": "lin@example.org", "email_verified": True, "amr": ["pwd", "otp"]}
        return {"iss": ISSUER, "aud": CLIENT, "nonce": pending.nonce, **times, **who}

    def signed(self, claims: object, *, key: Any = None, alg: str = "ES256") -> str:
        key = key or self.key
        header = {"alg": alg, "kid": self.key.kid}
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[alg])

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("openid-configuration"):
            places = {"authorization_endpoint": "auth", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
            at = {name: f"{ISSUER}/{path}" for name, path in places.items()}
            return httpx2.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", **at})
        if request.url.path == "/jwks":
            return httpx2.Response(200, json={"keys": [self.key.as_dict(private=False)]})
        answer = self.answers[request.url.path]
        if isinstance(answer, bytes):
            return httpx2.Response(200, content=answer, headers={"content-type": "application/json"})
        return httpx2.Response(200, json=answer)


def callback(mutator: Mutator) -> None:
    """Only the cookie and the state that were made together are accepted, and only for ten minutes."""
    place, chance = provider(), mutator.chance
    target = chance.choice(("/", "/conversations?tier=2", mutator.text()))
    target = target.encode("utf-8", "replace").decode()
    pending = PendingSignIn.begin(place.keys, purpose=chance.choice(list(Purpose)), target=target, now=_NOW)
    cookie = mutator.like((pending.cookie,)) if chance.random() < 0.7 else pending.cookie
    state = mutator.like((pending.state,)) if chance.random() < 0.5 else pending.state
    later = timedelta(seconds=chance.choice((0, 1, 599, 601, 86400, -1, -86400)))
    with suppress(SignInDenied):
        resumed = PendingSignIn.resume(place.keys, cookie, state=state, now=_NOW + later)
        assert (cookie, state) == (pending.cookie, pending.state), "a forged sign-in was accepted"
        assert resumed.target == target
        assert timedelta(minutes=-2) <= later <= timedelta(minutes=10)


def id_token(mutator: Mutator) -> None:
    """Whatever the provider answers, nobody is signed in by a token that it did not sign for this very sign-in."""
    place, chance = provider(), mutator.chance
    pending = PendingSignIn.begin(place.keys, purpose=Purpose.SIGN_IN, target="/", now=_NOW)
    claims = place.claims(pending)
    changed = mutator.document(claims) if chance.random() < 0.8 else claims
    token, is_signed = _token(mutator, place, changed)
    answer: Any = {"access_token": "a", "token_type": "Bearer", "id_token": token}
    if chance.random() < 0.2:
        answer, is_signed = mutator.document(answer), False
    if chance.random() < 0.1:
        answer, is_signed = mutator.bytes_like(json.dumps(answer).encode()), False
    try:
        identity = place.identity(pending, answer, mutator.document({"sub": "s-lin", "email": "x@example.org"}))
    except (SignInDenied, ProviderUnavailable):
        assert not (is_signed and changed == claims), "a good sign-in was refused"
        return
    carried = isinstance(answer, dict) and answer.get("id_token") == token
    assert isinstance(changed, dict)
    assert is_signed or carried or isinstance(answer, bytes)
    assert changed["iss"] == ISSUER
    assert changed["nonce"] == pending.nonce
    assert identity.subject == changed["sub"]
    if identity.email is not None and "email" in changed:
        assert changed["email_verified"] in (True, "true")


def app_code(mutator: Mutator) -> None:
    """Of everything that can be typed, only the six digits of the time are a code."""
    totp, chance = pyotp.TOTP(_SECRET), mutator.chance
    right = {totp.at(_NOW + timedelta(seconds=30 * step)) for step in (-1, 0, 1)}
    typed = chance.choice(
        (totp.at(_NOW), f"{chance.randrange(10**6):06}", totp.at(_NOW + timedelta(seconds=60)), mutator.text())
    )
    typed = mutator.like((typed,)) if chance.random() < 0.5 else typed
    step = second_factor._step_of(_SECRET, typed, now=_NOW)
    assert (step is not None) == ("".join(typed.split()) in right)


def _token(mutator: Mutator, place: Provider, claims: object) -> tuple[str, bool]:
    """An ID token, and whether it is the provider's own."""
    match mutator.chance.randrange(6):
        case 0:
            return place.signed(claims, key=ECKey.generate_key("P-256")), False
        case 1:
            unsigned = _unsigned({"alg": "HS256", "kid": place.key.kid}, claims)
            made = hmac.digest(place.key.as_pem(private=False), unsigned.encode(), "sha256")
            return f"{unsigned}.{_base64(made)}", False
        case 2:
            return _unsigned({"alg": "none", "typ": "JWT"}, claims) + ".", False
        case 3:
            whole = place.signed(claims)
            token = mutator.like((whole,))
            return token, token == whole
        case _:
            return place.signed(claims), True


def _unsigned(header: dict[str, object], claims: object) -> str:
    return ".".join(_base64(json.dumps(one).encode()) for one in (header, claims))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@cache
def provider() -> Provider:
    """This process's."""
    return Provider()
