import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care import texts
from care.texts import Texts
from dialogue.rights import export
from dialogue.rights.personal_data import ExportLine, ExportSpeaker, Grievance, PersonalData, Talk

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

lines = st.builds(
    ExportLine,
    at=st.just(NOW),
    speaker=st.sampled_from(ExportSpeaker),
    text=st.text(st.characters(codec="utf-8")),
)


def data(said: list[ExportLine], complaint: str = "太慢") -> PersonalData:
    talk = Talk(opened_at=NOW, closed_at=None, tier=0, course=None, is_purged=False, lines=tuple(said))
    return PersonalData(
        channel="test",
        user_id="小王",
        known_since=NOW,
        consent_version=None,
        consented_at=None,
        training_consented_at=None,
        age_band=None,
        emergency_contact="妈妈 {138}",
        talks=(talk,),
        outside=(),
        grievances=(Grievance(made_at=NOW, settled_at=None, text=complaint),),
    )


@pytest.fixture(scope="module", params=["zh", "en"])
def words(request: pytest.FixtureRequest) -> Texts:
    return texts.load(request.param)


@given(said=st.lists(lines, max_size=5), complaint=st.text(st.characters(codec="utf-8")))
def test_whatever_was_said_is_in_both_files_as_it_was_said(
    words: Texts, said: list[ExportLine], complaint: str
) -> None:
    readable, document = export.files(data(said, complaint), words, now=NOW)
    parsed = json.loads(document.content)["conversations"][0]["lines"]
    assert [line["text"] for line in parsed] == [line.text for line in said]
    text = readable.content.decode()
    assert all(line.text in text for line in said)


@given(said=st.lists(lines, max_size=5))
def test_what_a_model_wrote_is_marked_and_nothing_else_is(words: Texts, said: list[ExportLine]) -> None:
    parsed = json.loads(export.as_json(data(said), words, now=NOW))["conversations"][0]["lines"]
    assert [line["ai_generated"] for line in parsed] == [line.speaker is ExportSpeaker.MODEL for line in said]


def test_two_exports_of_one_second_do_not_share_a_name(words: Texts) -> None:
    first = export.files(data([]), words, now=NOW)
    second = export.files(data([]), words, now=NOW.replace(microsecond=1000))
    assert {file.name for file in first}.isdisjoint({file.name for file in second})
