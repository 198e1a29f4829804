"""Sends a call by e-mail, to the server that the operator names."""

import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from dialogue.admin.cases.escalation import CaseCallDue
from dialogue.errors import Misconfigured

if TYPE_CHECKING:
    import smtplib

_TIMEOUT_SECONDS = 15.0
_PORTS = {"smtp": 587, "smtps": 465}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """An SMTP server; TLS is required, except on this machine."""

    host: str
    port: int
    is_tls: bool
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, *, sender: str) -> Self:
        """`smtp://user:password@host:587` or `smtps://…`; raises `Misconfigured`."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Misconfigured("MINDGLM_SMTP_URL must be smtp://user:password@host:587 or smtps://…")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            is_tls=parts.scheme == "smtps",
            sender=sender,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def send(self, call: CaseCallDue, to: str) -> None:
        """Raises `OSError`, of which `smtplib.SMTPException` is one."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, call.subject
        message["Date"], message["Message-ID"] = formatdate(localtime=False), make_msgid(call.id.hex)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
        message.set_content(call.text)
        context = ssl.create_default_context()
        with self._connected(context) as server:
            if not self.is_tls and self.host not in _LOOPBACK:
                server.starttls(context=context)
            if self.user is not None:
                server.login(self.user, self.password or "")
            server.send_message(message)

    def _connected(self, context: ssl.SSLContext) -> "smtplib.SMTP":
        import smtplib  # only where it is used: every adapter has this module

        if self.is_tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_SECONDS)
