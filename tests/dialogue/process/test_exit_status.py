"""One table of exit statuses for every command, in the code and in the documentation."""

import re
from pathlib import Path

import pytest

from dialogue.broker.write_probe import BrokerUnavailable
from dialogue.errors import (
    DatabaseUnavailable,
    Misconfigured,
    NoSuchConversation,
    SchemaMismatch,
    WrongSecretKey,
)
from dialogue.process.exit_status import ExitStatus, status_of

_TABLE = Path(__file__).parents[3] / "docs" / "operations.md"


def test_the_documentation_has_the_table_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ", _TABLE.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number in rows] == [int(status) for status in ExitStatus]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Misconfigured("x"), ExitStatus.CONFIG),
        (WrongSecretKey(), ExitStatus.CONFIG),
        (SchemaMismatch(), ExitStatus.CONFIG),
        (DatabaseUnavailable(), ExitStatus.TEMPFAIL),
        (BrokerUnavailable(), ExitStatus.TEMPFAIL),
        (NoSuchConversation(), ExitStatus.FAILED),
        (RuntimeError(), ExitStatus.SOFTWARE),
    ],
)
def test_an_error_ends_a_process_with_the_status_of_its_kind(error: Exception, status: ExitStatus) -> None:
    assert status_of(error) is status
