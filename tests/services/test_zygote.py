"""A fork ends as the interpreter ends: with its status, and with everything said."""

import os
import signal
import textwrap
from pathlib import Path

import pytest

from tests.services import zygote

ENDS = {
    "by itself": ("print('done')", 0, "done\n", ""),
    "with a status": ("import sys; sys.exit(3)", 3, "", ""),
    "with a sentence": ("import sys; sys.exit('too bad')", 1, "", "too bad"),
    "with an error": ("raise ValueError('odd')", 1, "", "ValueError: odd"),
    "interrupted": ("raise KeyboardInterrupt", -signal.SIGINT, "", "KeyboardInterrupt"),
    "with what was registered": (
        "import atexit; atexit.register(print, 'after'); print('before')",
        0,
        "before\nafter\n",
        "",
    ),
    "with its threads": (
        """
        import threading, time
        def late():
            time.sleep(0.05)
            print("late")
        threading.Thread(target=late).start()
        """,
        0,
        "late\n",
        "",
    ),
    "without anybody to talk to": ("import sys; sys.stdout.close()", 0, "", ""),
}


@pytest.mark.parametrize(("code", "status", "said", "error"), ENDS.values(), ids=list(ENDS))
def test_it_ends_as_the_interpreter_ends(code: str, status: int, said: str, error: str) -> None:
    Path("ending.py").write_text(textwrap.dedent(code))
    done = zygote.run("ending", environment={**os.environ})
    assert (done.returncode, done.stdout) == (status, said)
    assert error in done.stderr
    assert error or not done.stderr
