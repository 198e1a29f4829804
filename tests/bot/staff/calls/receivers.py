"""The other side of a call: an SMTP server and an HTTP server on loopback."""

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Self


class _Receiver:
    """Serves in a thread, from entering to leaving."""

    scheme: ClassVar[str]

    def __init__(self, server: socketserver.TCPServer) -> None:
        self._server = server
        self._port: int = server.socket.getsockname()[1]
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MailReceiver(_Receiver):
    """`taken`: the mails, in order."""

    scheme = "smtp"

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        receiver = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 test")
                for line in self.rfile:
                    verb = line.split()[0].upper() if line.split() else b""
                    if verb == b"DATA":
                        self._say("354 go on")
                        lines = list(iter(self.rfile.readline, b".\r\n"))
                        parsed = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                        assert isinstance(parsed, EmailMessage)
                        receiver.taken.append(parsed)
                    self._say("221 bye" if verb == b"QUIT" else "250 ok")
                    if verb == b"QUIT":
                        return

            def _say(self, words: str) -> None:
                self.wfile.write(f"{words}\r\n".encode())

        super().__init__(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation))


class NonsenseReceiver(_Receiver):
    """Reads a request's head, answers with `says` and hangs up."""

    scheme = "http"

    def __init__(self, says: bytes) -> None:
        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(says)

        super().__init__(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation))


class WebReceiver(_Receiver):
    """`taken`: path, headers and body of each request; it answers with `status` and `answer`."""

    scheme = "http"

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.answer = b'{"errcode": 0, "code": 0}'
        receiver = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.taken.append((self.path, headers, body))
                self.send_response(receiver.status)
                self.send_header("content-length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *_args: object) -> None:
                """Nothing is logged."""

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Request))
