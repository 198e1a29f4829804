"""Passkeys (WebAuthn, https://www.w3.org/TR/webauthn-3/): what the browser is asked, and whether its answer holds."""

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from dialogue.errors import DialogueError
from dialogue.tables import StaffFactor

_PRODUCT = "MindGLM"


class PasskeyRefused(DialogueError):
    """The passkey's answer does not fit what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Whose passkeys they are: a passkey of another host name is of no use here."""

    host: str
    origin: str

    @property
    def can_have_passkeys(self) -> bool:
        """Only a host name can, never an IP address."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return bool(self.host)
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A new passkey."""

    credential_id: bytes
    public_key: bytes
    count: int


def site(url: str) -> Site:
    """From the console's address as the browser sees it."""
    parts = urlsplit(url)
    return Site(host=parts.hostname or "", origin=f"{parts.scheme}://{parts.netloc}")


def registration(site: Site, *, user_id: bytes, name: str, challenge: bytes, known: Sequence[StaffFactor]) -> str:
    """The options of `navigator.credentials.create`, as JSON."""
    return options_to_json(
        generate_registration_options(
            rp_id=site.host,
            rp_name=_PRODUCT,
            user_id=user_id,
            user_name=name,
            challenge=challenge,
            exclude_credentials=_descriptors(known),
            authenticator_selection=AuthenticatorSelectionCriteria(resident_key=ResidentKeyRequirement.DISCOURAGED),
        )
    )


def authentication(site: Site, *, challenge: bytes, known: Sequence[StaffFactor]) -> str:
    """The options of `navigator.credentials.get`, as JSON."""
    return options_to_json(
        generate_authentication_options(
            rp_id=site.host,
            challenge=challenge,
            allow_credentials=_descriptors(known),
            user_verification=UserVerificationRequirement.PREFERRED,
        )
    )


def challenge_of(answer: str) -> bytes:
    """Which challenge the answer says that it signed; raises `PasskeyRefused`."""
    try:
        told = json.loads(base64url_to_bytes(json.loads(answer)["response"]["clientDataJSON"]))
        return base64url_to_bytes(told["challenge"])
    except _UNFIT as error:
        raise PasskeyRefused from error


def registered(site: Site, answer: str, *, challenge: bytes) -> Registered:
    """Raises `PasskeyRefused`."""
    try:
        verified = verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=site.host, expected_origin=site.origin
        )
    except _UNFIT as error:
        raise PasskeyRefused from error
    return Registered(
        credential_id=verified.credential_id, public_key=verified.credential_public_key, count=verified.sign_count
    )


def used(site: Site, answer: str, *, challenge: bytes, known: Sequence[StaffFactor]) -> tuple[StaffFactor, int]:
    """The factor that signed, and its new count; raises `PasskeyRefused`."""
    try:
        factor = _named_in(answer, known)
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=factor.secret,
            credential_current_sign_count=factor.counter,
        )
    except _UNFIT as error:
        raise PasskeyRefused from error
    return factor, verified.new_sign_count


# what the library raises for an answer that somebody made up
_UNFIT = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, EOFError)


def _named_in(answer: str, known: Sequence[StaffFactor]) -> StaffFactor:
    credential = json.loads(answer)
    if not isinstance(credential, dict) or not isinstance(credential.get("id"), str):
        raise PasskeyRefused
    wanted = base64url_to_bytes(credential["id"])
    factor = next((one for one in known if one.credential_id == wanted), None)
    if factor is None:
        raise PasskeyRefused
    return factor


def _descriptors(known: Sequence[StaffFactor]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=one.credential_id) for one in known if one.credential_id is not None]
