"""A fork of the process that collected: runs the tests whose numbers it gets, and sends their reports back."""

import os
import sys
import traceback
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import pytest
from _pytest.capture import CaptureManager  # pytest offers no public name for either of the two
from _pytest.config import create_terminal_writer

INTERRUPTED = 130


def run_tests(session: pytest.Session, parent: Connection) -> NoReturn:
    """Ends the process when None comes instead of a number."""
    status = 1
    try:
        _have_own_output(session.config)
        session.config.pluginmanager.register(_Reporter(session.config, parent))
        _run(session, parent)
        status = 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
    except BaseException:  # noqa: BLE001 - the outermost place of this process
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            session._setupstate.teardown_exact(None)  # as pytest's own end of a session
        os._exit(status)  # what runs at exit is the parent's


def _run(session: pytest.Session, parent: Connection) -> None:
    """A test is run when the one after it is known: that decides which fixtures end with it."""
    current = parent.recv()
    while current is not None:
        following = parent.recv()
        item = session.items[current]
        nextitem = None if following is None else session.items[following]
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        parent.send(("ended", None))
        current = following


def _have_own_output(config: pytest.Config) -> None:
    """What tests print goes into a file of this process's own, and nothing to the terminal but stacks of hung tests."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if isinstance(capture, CaptureManager) and config.option.capture != "no":
        capture.stop_global_capturing()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a thread prints between two tests
        capture.start_global_capturing()
        capture.suspend_global_capture()
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(_NoTerminal(config), "terminalreporter")


class _NoTerminal:
    def __init__(self, config: pytest.Config) -> None:
        self._tw = create_terminal_writer(config, sys.stderr)  # where `Config.get_terminal_writer` looks


class _Reporter:
    def __init__(self, config: pytest.Config, parent: Connection) -> None:
        self._config = config
        self._parent = parent

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data: Any = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._parent.send(("report", data))

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        text = f"{warning_message.category.__name__}: {warning_message.message}"
        self._parent.send(("warning", (text, warning_message.filename, warning_message.lineno, nodeid)))
