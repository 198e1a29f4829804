"""Tells a supervisor that this process is ready: the notify protocol that systemd and `mindglm up` both speak."""

import os
import socket

_VARIABLE = "NOTIFY_SOCKET"


def notify_ready() -> None:
    """Send ``READY=1`` to the socket in ``NOTIFY_SOCKET``; without one, nobody asked. Source: sd_notify(3)."""
    path = os.environ.get(_VARIABLE)
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(b"READY=1", address)
        except OSError:
            return  # the supervisor is gone; it will not miss the message
