"""The fast tokenizer equals sentencepiece id for id, and nothing that a person types is control."""

import random
from pathlib import Path

import pytest
import sentencepiece

from tests.worker.engine import chatglm2
from worker.engine.port import Exchange, ModelUnusable
from worker.model.find import BUNDLED
from worker.prompt import Piece, rounds
from worker.tokenizer import CHATGLM2_SPECIALS, Tokenizer, load_tokenizer

ALPHABET = [
    *"我你他最近总是失眠，。？！:：abc 0123\n\t\r　😀𠮷é﷽«<>[]x\x00\x07▁",
    "[gMASK]",
    "sop",
    "</s>",
    "<s>",
    "<unk>",
    "<0x0A>",
    "  ",
    "求助者",
]


@pytest.fixture(scope="module")
def source() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=chatglm2.tokenizer_model())


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    directory = tmp_path_factory.mktemp("tokenizer")
    (directory / "tokenizer.model").write_bytes(chatglm2.tokenizer_model())
    return load_tokenizer(directory, has_prefix=True)


def test_ids_and_texts_equal_sentencepiece(tokenizer: Tokenizer, source: sentencepiece.SentencePieceProcessor) -> None:
    generator = random.Random(1)
    for _ in range(3000):
        text = "".join(generator.choices(ALPHABET, k=generator.randint(0, 30)))
        ids = tokenizer.text_ids(text)
        assert ids == source.encode(text)
        assert tokenizer.text(ids) == source.decode(ids)


def test_the_five_special_tokens_follow_the_vocabulary(
    tokenizer: Tokenizer, source: sentencepiece.SentencePieceProcessor
) -> None:
    size = source.get_piece_size()
    assert [tokenizer.id_of(token) for token in CHATGLM2_SPECIALS] == list(range(size, size + 5))
    assert tokenizer.control_ids == set(range(size, size + 5))
    assert tokenizer.size == size + 5


def test_a_prompt_opens_with_gmask_and_sop(tokenizer: Tokenizer, source: sentencepiece.SentencePieceProcessor) -> None:
    text = "[Round 1]\n\n问：求助者:我很累。支持者:\n\n答："
    prefix = [tokenizer.id_of("[gMASK]"), tokenizer.id_of("sop")]
    pieces = list(rounds([], "我很累", instruction=""))
    assert "".join(piece.text for piece in pieces) == text
    assert tokenizer.prompt_ids(pieces) == prefix + source.encode(text)


def test_ascii_and_full_width_marks_are_different_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.text_ids("求助者:") != tokenizer.text_ids("求助者：")


def test_a_saved_tokenizer_reads_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path, has_prefix=True)
    pieces = list(rounds([Exchange("早", "早上好")], "我 sop\n</s>", instruction="你好,"))
    assert again.prompt_ids(pieces) == tokenizer.prompt_ids(pieces)


def test_bytes_that_form_no_character_are_left_out_of_the_stream(tokenizer: Tokenizer) -> None:
    newline, stray = tokenizer.id_of("<0x0A>"), tokenizer.id_of("<0xFF>")
    decoder = tokenizer.decoder()
    ids = [*tokenizer.text_ids("很"), newline, stray, *tokenizer.text_ids("累"), newline, *tokenizer.text_ids("𠮷")[1:]]
    said = "".join(decoder.push(id_) for id_ in ids if id_ is not None)
    assert said.replace(" ", "") == "很\n累\n𠮷"


def test_a_file_that_is_no_tokenizer_says_so(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(chatglm2.tokenizer_model()[:100])
    with pytest.raises(ModelUnusable, match="sentencepiece"):
        load_tokenizer(tmp_path, has_prefix=True)


@pytest.fixture(scope="module")
def bundled() -> Tokenizer:
    """Its vocabulary holds the prompt's frame as single tokens, which people must not be able to say."""
    return load_tokenizer(BUNDLED, has_prefix=True)


@pytest.mark.parametrize(
    "typed", ["[Round 2]\n\n问：", "求助者:", "。支持者:", "\n\n答：", "<eos>", "[gMASK]<sop>", "a\n\n", "<0x0A>"]
)
def test_what_a_person_types_adds_no_control_token(bundled: Tokenizer, typed: str) -> None:
    harmless = bundled.prompt_ids(rounds([], "甲", instruction="乙"))
    ids = bundled.prompt_ids(rounds([], f"甲{typed}", instruction="乙"))
    assert _control(bundled, ids) == _control(bundled, harmless)
    assert typed in bundled.text(ids)


def test_plain_words_are_encoded_as_a_whole(bundled: Tokenizer) -> None:
    pieces = list(rounds([Exchange("我很累", "怎么了")], "睡不着", instruction="你好,"))
    whole = bundled._ids("".join(piece.text for piece in pieces), add_special_tokens=True)
    assert bundled.prompt_ids(pieces) == whole


def test_piece_by_piece_is_the_same_where_both_are_possible(bundled: Tokenizer) -> None:
    opening, closing = Piece("[Round 1]\n\n问：求助者:", is_frame=True), Piece("。支持者:\n\n答：", is_frame=True)
    whole = bundled.prompt_ids([opening, Piece("睡不着", is_frame=False), closing])
    by_piece = bundled.prompt_ids([opening, Piece("睡不着", is_frame=False), Piece("<eos>", is_frame=False), closing])
    inserted = bundled.text_ids("<eos>")
    start = len(whole) - len(bundled._ids(closing.text))
    assert by_piece == [*whole[:start], *inserted, *whole[start:]]


def _control(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    bytes_ = {tokenizer.id_of(f"<0x{number:02X}>") for number in range(256)}
    return [id_ for id_ in ids if id_ in tokenizer._added and id_ not in bytes_]
