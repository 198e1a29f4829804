"""Tells the supervisor that this process is ready: the sd_notify protocol, which systemd and `mindglm up` speak."""

import os
import socket

_VARIABLE = "NOTIFY_SOCKET"


def notify_ready() -> None:
    """Send ``READY=1`` to the socket in ``NOTIFY_SOCKET``; does nothing if that is not set. Source: sd_notify(3)."""
    path = os.environ.get(_VARIABLE)
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(b"READY=1", address)
        except OSError:
            return  # the supervisor is gone, so nobody needs the message
