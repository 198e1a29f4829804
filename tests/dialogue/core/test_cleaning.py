import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue.core.cleaning import clean
from dialogue.errors import EmptyMessage, MessageTooLong


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n", "\x00\x00", "\u3000", "\x1b"])
def test_a_message_without_words_is_empty(text: str) -> None:
    with pytest.raises(EmptyMessage):
        clean(text, max_length=100)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("  你好 \n", "你好"),
        ("一\r\n二\r三", "一\n二\n三"),
        ("我\x00很\x07难过\x9b", "我很难过"),
        ("半个\ud83d字", "半个\N{REPLACEMENT CHARACTER}字"),
        ("👨‍👩‍👧😭", "👨‍👩‍👧😭"),
        ("\u200fשלום\u202e", "\u200fשלום\u202e"),
        ("表\t格", "表\t格"),
    ],
)
def test_what_a_person_meant_stays(raw: str, cleaned: str) -> None:
    assert clean(raw, max_length=100) == cleaned


def test_the_longest_message_is_taken_and_one_more_character_is_not() -> None:
    assert len(clean("长" * 4000, max_length=4000)) == 4000
    with pytest.raises(MessageTooLong) as caught:
        clean("长" * 100_000, max_length=4000)
    assert (caught.value.length, caught.value.max_length) == (100_000, 4000)
    assert "长" not in str(caught.value)


@given(st.text(alphabet=st.characters(), max_size=200))
def test_whatever_is_kept_can_be_stored_and_is_kept_again(text: str) -> None:
    try:
        kept = clean(text, max_length=1000)
    except EmptyMessage:
        return
    assert kept.encode("utf-8")
    assert "\x00" not in kept
    assert clean(kept, max_length=1000) == kept
