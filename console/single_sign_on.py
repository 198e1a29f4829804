"""Single sign-on: OpenID Connect's authorization code flow with PKCE, state and nonce, through Authlib.

https://openid.net/specs/openid-connect-core-1_0.html, RFC 7636. Nothing about a sign-in that has begun is stored: the
browser keeps a cookie, and state, nonce and code verifier are made from it and the master key.
"""

import base64
import binascii
import hmac
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import httpx2
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OAuthError, OpenIDMixin
from authlib.integrations.httpx_client import OAuth2Client
from joserfc.errors import JoseError

from console.settings import ConsoleSettings
from dialogue.errors import DialogueError
from dialogue.storage.vault import MasterKeys

CALLBACK_PATH = "/sign-in/oidc/callback"
LIFETIME = timedelta(minutes=10)
_TIMEOUT_SECONDS = 10
_LEEWAY = timedelta(minutes=2)
_DISCOVERY_PATH = "/.well-known/openid-configuration"
_SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Public keys only: what the client secret signs could be made by whoever has it, and `none` by anybody."""
_KNOWN = frozenset({"pwd", "pin", "kba"})
_HELD = frozenset({"otp", "hwk", "swk", "sc"})
"""Methods by their kind (RFC 8176, section 2): what somebody knows, and what they have."""


class ProviderUnavailable(DialogueError):
    """The single sign-on cannot be reached, or does not answer as OpenID Connect asks for."""


class Denial(StrEnum):
    """Why a sign-in through the provider came to nothing."""

    STATE = "state"  # not begun in this browser, or too long ago
    CANCELLED = "cancelled"  # the provider says no
    TOKEN = "token"  # noqa: S105 - the code or the ID token is not accepted
    STRANGER = "stranger"  # signed in there, and nobody of ours


class SignInDenied(DialogueError):
    """Signing in through the provider is denied, because of `denial`."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(denial)
        self.denial = denial


class Purpose(StrEnum):
    """What somebody goes to the provider for."""

    SIGN_IN = "sign_in"
    UNLOCK = "unlock"  # the session has idled: the provider must ask for the password again
    CONNECT = "connect"  # to connect the account that they are signed in with


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """Somebody was sent to the provider; `cookie` stays in their browser."""

    cookie: str = field(repr=False)
    purpose: Purpose
    target: str
    began_at: datetime
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)

    @classmethod
    def begin(cls, keys: MasterKeys, *, purpose: Purpose, target: str, now: datetime) -> Self:
        place = base64.urlsafe_b64encode(target.encode()).decode("ascii").rstrip("=")
        return cls._of(keys, f"{secrets.token_urlsafe(32)}.{int(now.timestamp())}.{purpose}.{place}")

    @classmethod
    def resume(cls, keys: MasterKeys, cookie: str | None, *, state: str, now: datetime) -> Self:
        """The one that the browser began; raises `SignInDenied`."""
        try:
            pending = cls._of(keys, cookie or "")
        except (ValueError, OverflowError, OSError, binascii.Error):
            raise SignInDenied(Denial.STATE) from None
        is_genuine = hmac.compare_digest(pending.state.encode(), state.encode("utf-8", "replace"))
        if not is_genuine or not pending.began_at <= now + _LEEWAY or now - pending.began_at > LIFETIME:
            raise SignInDenied(Denial.STATE)
        return pending

    @classmethod
    def _of(cls, keys: MasterKeys, cookie: str) -> Self:
        """Raises `ValueError`. The state seals the whole cookie."""
        _token, stamp, purpose, place = cookie.split(".")
        return cls(
            cookie=cookie,
            purpose=Purpose(purpose),
            target=base64.urlsafe_b64decode(place + "=" * (-len(place) % 4)).decode(),
            began_at=datetime.fromtimestamp(int(stamp), UTC),
            state=keys.derived(f"oidc state {cookie}").hex(),
            nonce=keys.derived(f"oidc nonce {cookie}").hex(),
            code_verifier=keys.derived(f"oidc code verifier {cookie}").hex(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedIdentity:
    """Whom the provider signed in. `email` only if the provider has verified it."""

    issuer: str
    subject: str
    email: str | None
    has_two_factors: bool
    authenticated_at: datetime | None


class _Client(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc] # Authlib tells no types
    """Authlib's client with its synchronous transport; kept for all sign-ins, with the provider's metadata and keys."""

    client_cls = OAuth2Client


class IdentityProvider:
    """The centre's single sign-on. Its metadata are read when they are needed first."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.issuer = settings.oidc_issuer or ""
        self.label = settings.oidc_label
        self._acr = tuple(settings.oidc_acr.split())
        self._lock = threading.Lock()
        secret = settings.oidc_client_secret
        self._client = _Client(
            None,
            client_id=settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            server_metadata_url=self.issuer.rstrip("/") + _DISCOVERY_PATH,
            client_kwargs={
                "scope": settings.oidc_scopes,
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_SECONDS,
                **({} if secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    def check(self) -> None:
        """Whether metadata and keys can be read; raises `ProviderUnavailable`."""
        with _reached():
            self._metadata()
            self._client.fetch_jwk_set()

    def authorization_url(
        self, pending: PendingSignIn, *, redirect_uri: str, locale: str, max_age: timedelta | None
    ) -> str:
        """Where the browser is sent to; raises `ProviderUnavailable`.

        `max_age`: if they signed in there longer ago, they must again.
        """
        asked: dict[str, str] = {"ui_locales": {"zh": "zh-CN zh"}.get(locale, locale)}
        if self._acr:
            asked["acr_values"] = " ".join(self._acr)
        if max_age is not None:
            asked["max_age"] = str(int(max_age.total_seconds()))
        if pending.purpose is Purpose.UNLOCK:
            asked["prompt"] = "login"
        with _reached():
            self._metadata()
            made = self._client.create_authorization_url(
                redirect_uri,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.code_verifier,
                **asked,
            )
        return str(made["url"])

    def identity(self, pending: PendingSignIn, code: str, *, redirect_uri: str) -> VerifiedIdentity:
        """Exchange the code and check the ID token; raises `SignInDenied`, `ProviderUnavailable`."""
        with _reached():
            metadata = self._metadata()
            token = self._client.fetch_access_token(redirect_uri, code=code, code_verifier=pending.code_verifier)
            claims = self._client.parse_id_token(
                token,
                nonce=pending.nonce,
                claims_options={
                    "iss": {"essential": True, "values": [metadata["issuer"]]},
                    "aud": {"essential": True, "values": [self._client.client_id]},
                },
                leeway=int(_LEEWAY.total_seconds()),
            )
            if claims is None:
                raise SignInDenied(Denial.TOKEN)
            about = dict(claims)
            if "email" not in about and "userinfo_endpoint" in metadata:
                about |= self._user_info(token, str(about["sub"]))
        return self._identity(about)

    def end_session_url(self, *, back_to: str) -> str | None:
        """Where somebody signs out of the provider too, if it has such a page; raises `ProviderUnavailable`.

        https://openid.net/specs/openid-connect-rpinitiated-1_0.html
        """
        with _reached():
            if "end_session_endpoint" not in self._metadata():
                return None
            made = self._client.create_logout_url(post_logout_redirect_uri=back_to, client_id=self._client.client_id)
        return str(made["url"])

    def _metadata(self) -> Mapping[str, Any]:
        """Read once; an issuer that names itself otherwise is refused (OpenID Connect Discovery, section 4.3)."""
        with self._lock:
            metadata: dict[str, Any] = self._client.load_server_metadata()
            if metadata.get("issuer") != self.issuer:
                self._client.server_metadata.clear()
                raise ProviderUnavailable
            metadata["id_token_signing_alg_values_supported"] = _SIGNATURES
            return metadata

    def _user_info(self, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """The e-mail address of the same subject; some providers tell it nowhere else."""
        told = self._client.userinfo(token=dict(token))
        if told.get("sub") != subject:
            raise SignInDenied(Denial.TOKEN)
        return {key: told[key] for key in ("email", "email_verified") if key in told}

    def _identity(self, claims: Mapping[str, Any]) -> VerifiedIdentity:
        subject, email, methods = claims["sub"], claims.get("email"), claims.get("amr")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:  # noqa: PLR2004 - OpenID Connect Core, section 2
            raise SignInDenied(Denial.TOKEN)
        is_verified = claims.get("email_verified") in (True, "true") and isinstance(email, str)
        used = {one for one in methods if isinstance(one, str)} if isinstance(methods, list) else set()
        is_strong = (
            claims.get("acr") in self._acr if self._acr else "mfa" in used or bool(used & _KNOWN and used & _HELD)
        )
        return VerifiedIdentity(
            issuer=self.issuer,
            subject=subject,
            email=folded_email(str(email)) if is_verified else None,
            has_two_factors=is_strong,
            authenticated_at=_instant(claims.get("auth_time")),
        )


def folded_email(address: str) -> str:
    """As addresses are stored and compared."""
    return address.strip().casefold()


def provider_of(settings: ConsoleSettings) -> IdentityProvider | None:
    """The single sign-on, if one is set."""
    return IdentityProvider(settings) if settings.oidc_issuer else None


def _instant(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


@contextmanager
def _reached() -> Iterator[None]:
    """What the network and the provider do wrong, in our own errors."""
    try:
        yield
    except httpx2.HTTPError as error:
        raise ProviderUnavailable from error
    except (OAuthError, JoseError) as error:
        raise SignInDenied(Denial.TOKEN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ProviderUnavailable from error  # no JSON, or not of the shape that the specification gives
