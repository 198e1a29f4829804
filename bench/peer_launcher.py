"""Runs a peer's program with python-telegram-bot speaking to another server; by the peer's own Python, without ours.

    PEER_PYTHON peer_launcher.py http://127.0.0.1:8081/bot bot/main.py [ARGUMENT ...]

Peers seldom have a setting for the Bot API's address; the library's builder takes one.
"""

import runpy
import sys
from pathlib import Path


def main() -> None:
    api_url, program, *arguments = sys.argv[1:]
    sys.path[0] = str(Path(program).resolve().parent)  # before: the directory of this file
    from telegram.ext import ApplicationBuilder

    begin = ApplicationBuilder.__init__

    def begin_there(builder):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the peer's version of the library decides
        begin(builder)
        builder.base_url(api_url)
        builder.base_file_url(api_url.replace("/bot", "/file/bot"))

    ApplicationBuilder.__init__ = begin_there  # type: ignore[method-assign]  # it is what the peer calls
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
