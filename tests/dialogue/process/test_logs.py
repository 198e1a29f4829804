import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from dialogue.process.logs import configure
from dialogue.process.settings import DialogueSettings

SECRET = "我不想活了"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**config)
    structlog.contextvars.clear_contextvars()


def break_twice() -> None:
    try:
        {"": 0}[SECRET]
    except KeyError as error:
        raise ValueError(SECRET) from error


def told(log_format: Literal["console", "json"]) -> list[str]:
    """What is written when much happens."""
    stream = io.StringIO()
    configure(DialogueSettings(log_format=log_format), stream)
    log = structlog.get_logger("ours")
    with structlog.contextvars.bound_contextvars(turn_id="t1"):
        log.info("turn_claimed", attempt=1)
        try:
            break_twice()
        except ValueError:
            log.exception("ours_broke")
            logging.getLogger("a.library").exception("a library\nbroke")
    return stream.getvalue().splitlines()


def test_an_event_is_one_line_for_machines_with_its_ids() -> None:
    lines = [json.loads(line) for line in told("json")]
    assert [line["event"] for line in lines] == ["turn_claimed", "ours_broke", "a library | broke"]
    assert {line["turn_id"] for line in lines} == {"t1"}
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_an_event_is_one_line_for_people_too() -> None:
    lines = told("console")
    assert len(lines) == 3
    assert all("turn_id=t1" in line for line in lines)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_tells_its_kind_and_place_but_not_what_it_says(log_format: Literal["console", "json"]) -> None:
    whole = "\n".join(told(log_format))
    assert "ValueError at test_logs.py:" in whole
    assert "< KeyError at test_logs.py:" in whole
    assert SECRET not in whole
