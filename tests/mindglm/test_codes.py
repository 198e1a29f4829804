"""Codes of the database in the operator's words, with the code that options take."""

from enum import StrEnum

import pytest

from dialogue.admin.listing import ConversationStatus
from dialogue.states import ClosedBy, DeliveryKind, DeliveryState, TurnState
from mindglm.codes import label, reason

SHOWN: dict[str, type[StrEnum]] = {
    "standing": ConversationStatus,
    "turn": TurnState,
    "delivery": DeliveryState,
    "kind": DeliveryKind,
    "closed_by": ClosedBy,
}


@pytest.mark.parametrize("kind", SHOWN)
def test_every_code_has_a_chinese_word(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_LOCALE", "zh")
    assert [code for code in SHOWN[kind] if label(kind, code) == code] == []


def test_a_code_is_said_with_its_code_in_chinese_and_alone_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_LOCALE", "zh")
    assert label("delivery", "pending") == "待发送 (pending)"
    assert label("audit", "reset") not in ("reset", None)
    monkeypatch.setenv("MINDGLM_LOCALE", "en")
    assert label("delivery", "pending") == "pending"


def test_what_has_no_word_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_LOCALE", "zh")
    assert (label("audit", "nosuch"), label("delivery", None)) == ("nosuch", None)


def test_what_the_program_wrote_into_the_audit_is_said_in_the_operators_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINDGLM_LOCALE", "zh")
    assert label("actor", "screening") == "程序（风险筛查） (screening)"
    assert label("actor", "cli:root") == "cli:root"
    assert label("speaker", "person") == "求助者 (person)"
    assert reason("case_taken", "from console:lin") == "原处理人 console:lin"
    assert reason("read", "督导") == "督导"
    monkeypatch.setenv("MINDGLM_LOCALE", "en")
    assert reason("case_taken", "from console:lin") == "from console:lin"
