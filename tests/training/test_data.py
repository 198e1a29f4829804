"""From published files to the rows that a model learns from."""

import gzip
import json
from pathlib import Path

import pytest

from dialogue.process.settings import INSTRUCTION
from training.data import corpus, formats, windows
from training.data.cleaning import Cleaning, Refusal
from training.data.degradations import KINDS, synthetic
from training.data.dialogue import Dialogue
from training.data.encoding import Encoder, Part
from training.data.feedback import read_sealed, write_sealed
from training.data.packing import collate, fill, pack
from training.data.preferences import Preference, read_preferences, write_preferences
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange
from worker.prompt import rounds
from worker.tokenizer import Tokenizer, load_tokenizer

TURNS = ["我睡不着", "多久了？", "一个月了", "听起来很累。"]
ROLES = ("client", "supporter") * 2
FORMS = {
    "smilechat": [
        {"role": "client" if number % 2 == 0 else "counselor", "content": text} for number, text in enumerate(TURNS)
    ],
    "messages": {
        "messages": [
            {"role": "system", "content": "你是咨询师"},
            *({"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(TURNS)),
        ]
    },
    "sharegpt": {"conversations": [{"from": "gpt" if n % 2 else "human", "value": t} for n, t in enumerate(TURNS)]},
    "cpsycoun": {"topic": "x", "dialogue": [f"{'支持者' if n % 2 else '求助者'}：{t}" for n, t in enumerate(TURNS)]},
    "alpaca": {"history": [TURNS[:2]], "instruction": TURNS[2], "input": "", "output": TURNS[3]},
    "soulchat": {
        "id": 1,
        "topic": "x",
        "messages": [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(TURNS)],
    },
    "emollm": {
        "conversation": [
            {"system": "你是咨询师", "input": TURNS[0], "output": TURNS[1]},
            {"input": TURNS[2], "output": TURNS[3]},
        ]
    },
    "chatglm2": {"prompt": TURNS[2], "response": TURNS[3], "history": [TURNS[:2]]},
    "ms-swift": {"query": TURNS[2], "response": TURNS[3], "history": [TURNS[:2]]},
    "ours": [TURNS[:2], TURNS[2:]],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["a line each", "one list", "gzipped lines"])
def test_every_published_form_is_read(tmp_path: Path, form: str, layout: str) -> None:
    item = FORMS[form]
    file = tmp_path / ("d.jsonl.gz" if layout == "gzipped lines" else "d.json")
    lines = "\n".join(json.dumps(item, ensure_ascii=False) for _ in range(2))
    if layout == "one list":
        file.write_text(json.dumps([item, item], ensure_ascii=False, indent=1))
    elif layout == "gzipped lines":
        file.write_bytes(gzip.compress(lines.encode()))
    else:
        file.write_text(lines)
    read = list(formats.read(file))
    assert len(read) == 2
    for turns in read:
        assert isinstance(turns, list)
        assert [text for _, text in turns] == TURNS
        assert tuple(str(role) for role, _ in turns) == ROLES


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"messages": [{"role": "narrator", "content": "甲"}]}, "somebody unknown"),
        ({"messages": [{"role": "user", "content": 7}]}, "no text"),
        ({"messages": [{"content": "甲"}]}, "who speaks"),
        ({"messages": [], "conversations": []}, "two forms"),
        ({"prompt": "甲", "response": "乙", "history": "丙"}, "history is no list"),
        ({"question": "甲", "answer": "乙"}, "none of the known forms"),
        ({"dialogue": ["没有说是谁"]}, "who speaks"),
        ([["甲", "乙", "丙"], ["丁", "戊"]], "neither a text, an object nor a pair"),
    ],
)
def test_what_has_another_form_is_refused_with_its_line_and_the_reason(
    tmp_path: Path, item: object, reason: str
) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in [FORMS["messages"], item]))
    good, bad = formats.read(file)
    assert isinstance(good, list)
    assert isinstance(bad, formats.Unread)
    assert bad.number == 2
    assert reason in bad.reason


DIALOGUE = '[["我睡不着\\u2028真的", "多久了？"], ["一个月", "很累吧。"]]'


@pytest.mark.parametrize(
    "line",
    [
        DIALOGUE.replace("一个月", "\\ud83d"),
        '{"prompt": "甲", "prompt": "乙", "response": "丙"}',
        '{"messages": [{"role": "user", "content": "甲", "weight": NaN}]}',
        "[" * 100_000,
        '{"messages": [{"role": "user", "from": "gpt", "content": "甲"}]}',
        '{"messages": [{"role": "user", "content": "甲", "value": "乙"}]}',
        '{"messages": [{"role": "user", "content": [{"type": "text", "text": "甲"}]}]}',
        '{"messages": [{"role": "assistant", "content": null, "tool_calls": []}]}',
        '{"prompt": "甲", "input": "乙", "response": "丙"}',
        '{"dialogue": {"0": "求助者：甲"}}',
        '{"conversation": [{"input": "甲", "output": ["乙"]}]}',
        '"求助者：甲"',
        "1" * 5000,
        "求助者：甲",
    ],
)
def test_odd_lines_are_refused_by_their_number_and_leave_the_others_whole(tmp_path: Path, line: str) -> None:
    file = tmp_path / "d.jsonl"
    good = DIALOGUE.replace("\\u2028", "\u2028")  # many readers take that for the end of a line
    file.write_text(f"\ufeff{good}\r\n{line}\r\n\r\n{good}\r\n", encoding="utf-8", newline="")
    first, bad, last = formats.read(file)
    assert first == last
    assert isinstance(first, list)
    assert first[0].text == "我睡不着\u2028真的"
    assert isinstance(bad, formats.Unread)
    assert bad.number == 2
    assert "甲" not in bad.reason


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"x" * 5000)
    damaged = bytearray(whole)
    damaged[20] ^= 0xFF
    for name, content in (
        ("torn.jsonl.gz", whole[:-12]),
        ("damaged.jsonl.gz", bytes(damaged)),
        ("plain.jsonl.gz", b"[]"),
        ("gb18030.jsonl", "求助者".encode("gb18030")),
    ):
        (tmp_path / name).write_bytes(content)
        for reader in (formats.read, read_preferences):
            with pytest.raises(TrainingTrouble, match=name):
                list(reader(tmp_path / name))
    with pytest.raises(TrainingTrouble, match="cannot be read"):
        list(formats.read(tmp_path))


def test_single_bad_lines_are_named_and_many_refuse_the_file(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    good = [
        json.dumps([[f"{number}睡不着", "多久了？"], ["一个月", "很累吧。"]], ensure_ascii=False)
        for number in range(30)
    ]
    file.write_text("\n".join([*good, "{broken"]))
    card = corpus.build([file], tmp_path / "corpus", held_out=0.0, licence="x")
    assert card["unreadable"] == ["d.jsonl:31: it is no JSON object or list"]
    assert card["refused"] == {"unreadable": 1}
    file.write_text("\n".join([*good, *["{broken"] * 3]))
    with pytest.raises(TrainingTrouble, match=r"d.jsonl:31"):
        corpus.build([file], tmp_path / "another", held_out=0.0, licence="x")


def test_dialogues_of_one_exchange_are_taken_only_where_they_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps({"instruction": "我睡不着", "input": "", "output": "多久了？"}, ensure_ascii=False))
    with pytest.raises(TrainingTrouble, match="too short"):
        corpus.build([file], tmp_path / "corpus", held_out=0.0, licence="x")
    card = corpus.build([file], tmp_path / "corpus", held_out=0.0, licence="x", has_single_turns=True)
    assert card["train"]["exchanges"] == 1


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({1: "支持者：多久了？"}, Refusal.ROLE_LEAK),
        ({1: "加我微信：abc12345"}, Refusal.CONTACT),
        ({2: "我的电话是13812345678"}, Refusal.CONTACT),
        ({1: "作为一个AI，我不会累"}, Refusal.TALK_OF_AI),
        ({3: ""}, Refusal.TOO_SHORT),
        ({0: "嗯", 2: "嗯", 1: "很长的回答" * 30, 3: "还是很长的回答" * 30}, Refusal.ONE_SIDED),
    ],
)
def test_what_would_teach_a_model_something_wrong_is_refused_and_counted(
    changed: dict[int, str], refusal: Refusal
) -> None:
    cleaning = Cleaning()
    turns = [
        formats.Turn(formats.Role(role), changed.get(number, text))
        for number, (role, text) in enumerate(zip(ROLES, TURNS, strict=True))
    ]
    assert not list(cleaning.accepted([turns]))
    assert cleaning.refused == {refusal: 1}


def test_the_same_dialogue_is_kept_once_and_lies_on_one_side_of_the_split(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    many = [[[f"我第{number}次睡不着", "多久了？"], ["一个月了", "听起来很累。"]] for number in range(60)]
    file.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in [*many, *many]))
    card = corpus.build([file], tmp_path / "corpus", held_out=0.2, licence="CC0-1.0")
    assert card["refused"] == {"duplicate": 60}
    read = corpus.load(tmp_path / "corpus")
    assert len(read.train) + len(read.held_out) == 60
    assert len(read.held_out) > 2
    assert not {one.opening for one in read.train} & {one.opening for one in read.held_out}
    assert "CC0-1.0" in (tmp_path / "corpus" / corpus.CARD).read_text()
    with pytest.raises(TrainingTrouble, match="not empty"):
        corpus.build([file], tmp_path / "corpus", held_out=0.2, licence="CC0-1.0")


LONG = Dialogue(tuple(Exchange(f"{number}" * 90, f"答{number}" * 40) for number in range(9)))


def test_every_reply_is_learned_once_after_what_the_worker_would_show() -> None:
    learned = []
    for window in windows.served(LONG, instruction=INSTRUCTION):
        for index in range(window.first, len(window.exchanges)):
            place = LONG.exchanges.index(window.exchanges[index])
            learned.append(place)
            if index == window.first:
                assert list(window.exchanges[:index]) == windows.before(LONG, place, instruction=INSTRUCTION)
    assert learned == list(range(9))


def test_strides_learn_every_reply_once_and_repeat_the_first_exchange_only() -> None:
    found = list(windows.strides(LONG, instruction=INSTRUCTION))
    learned = [exchange for window in found for exchange in window.exchanges[window.first :]]
    assert learned == list(LONG.exchanges)
    assert all(window.exchanges[: window.first] == LONG.exchanges[:1] for window in found[1:])
    assert sum(len(window.exchanges) for window in found) < 9 + len(found)


@pytest.fixture
def encoder(tokenizer_directory: Path) -> Encoder:
    return Encoder(tokenizer=load_tokenizer(tokenizer_directory, has_prefix=True), instruction=INSTRUCTION, end_id=2)


def test_a_window_is_encoded_as_the_worker_encodes_its_prompt(encoder: Encoder) -> None:
    history, text, reply = [Exchange("我睡不着", "多久了？")], "一个月了", "听起来很累。"
    encoded = encoder.encode(windows.Window((*history, Exchange(text, reply)), 0))
    prompt = encoder.tokenizer.prompt_ids(rounds(history, text, instruction=INSTRUCTION))
    assert encoded.ids[: len(prompt)] == prompt
    own = [id_ for id_, part in zip(encoded.ids, encoded.parts, strict=True) if part is Part.REPLY]
    assert encoder.tokenizer.text(own) == "多久了？\n\n[Round 听起来很累。<eos>"


def test_the_instruction_is_one_id_and_a_frame_costs_four(encoder: Encoder) -> None:
    tokenizer = encoder.tokenizer
    assert len(tokenizer.prompt_ids(())) == 2
    first = tokenizer.prompt_ids(rounds([], "", instruction=INSTRUCTION))
    second = tokenizer.prompt_ids(rounds([Exchange("", "")], "", instruction=INSTRUCTION))
    assert len(first) == 2 + 6
    assert len(second) == len(first) + 4


@pytest.mark.parametrize(
    "typed", ["[Round 2]\n\n问：", "。支持者:\n\n答：", "<eos>", INSTRUCTION, "<0x0A>", "\n\n[Round "]
)
def test_nobody_can_type_a_piece_of_the_frame(encoder: Encoder, typed: str) -> None:
    tokenizer: Tokenizer = encoder.tokenizer
    plain = tokenizer.prompt_ids(rounds([], "甲", instruction=INSTRUCTION))
    found = tokenizer.prompt_ids(rounds([], f"甲{typed}", instruction=INSTRUCTION))
    added = set(tokenizer._added)
    assert [id_ for id_ in found if id_ in added] == [id_ for id_ in plain if id_ in added]
    assert typed in tokenizer.text(found)


def test_full_rows_lose_nothing_and_packed_rows_cut_nothing_that_fits(encoder: Encoder) -> None:
    encoded = [encoder.encode(window) for window in windows.strides(LONG, instruction=INSTRUCTION)] * 3
    total = sum(len(window.ids) for window in encoded)
    filled = fill(encoded, length=128)
    assert sum(len(part.ids) for row in filled for part in row) == total
    assert all(sum(len(part.ids) for part in row) > 96 for row in filled[:-1])
    longest = max(len(window.ids) for window in encoded)
    batch = collate(pack(encoded, length=longest), length=longest, pad_id=1)
    assert int((batch.windows >= 0).sum()) == total


def test_comparisons_survive_writing_and_published_forms_are_read(tmp_path: Path) -> None:
    one = Preference(history=(Exchange("甲", "乙"),), text="丙", chosen="丁", rejected="戊", origin="synthetic:echo")
    file = tmp_path / "c.jsonl.gz"
    assert write_preferences(file, [one]) == 1
    assert read_preferences(file) == [one]
    forms = [
        {"prompt": "丙", "chosen": "丁", "rejected": "戊"},
        {
            "prompt": [{"role": "user", "content": "丙"}],
            "chosen": [{"role": "assistant", "content": "丁"}],
            "rejected": [{"role": "assistant", "content": "戊"}],
        },
        {
            "chosen": [{"role": "user", "content": "丙"}, {"role": "assistant", "content": "丁"}],
            "rejected": [{"role": "user", "content": "丙"}, {"role": "assistant", "content": "戊"}],
        },
        {
            "conversations": [{"from": "human", "value": "丙"}],
            "chosen": {"from": "gpt", "value": "丁"},
            "rejected": {"from": "gpt", "value": "戊"},
        },
    ]
    public = tmp_path / "public.jsonl"
    public.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in forms))
    for read in read_preferences(public):
        assert (read.text, read.chosen, read.rejected, read.origin) == ("丙", "丁", "戊", "public")
    public.write_text('{"prompt": "丙"}')
    with pytest.raises(TrainingTrouble, match="no comparisons"):
        read_preferences(public)


def test_synthetic_comparisons_say_that_they_are_and_are_all_different_from_the_reply(corpus_directory: Path) -> None:
    made = list(synthetic(corpus.load(corpus_directory).train, count=80, seed=3))
    assert {one.origin for one in made} == {f"synthetic:{kind}" for kind in KINDS}
    assert all(one.chosen != one.rejected for one in made)


def test_sealed_comparisons_open_with_their_key_only(tmp_path: Path) -> None:
    one = Preference(history=(), text="丙", chosen="丁", rejected="戊", origin="feedback", rejected_after=((), "己"))
    file = tmp_path / "ratings.sealed"
    write_sealed(file, [one], b"k" * 32)
    assert "丁".encode() not in file.read_bytes()
    assert read_sealed(file, b"k" * 32) == [one]
    with pytest.raises(TrainingTrouble, match="another key"):
        read_sealed(file, b"x" * 32)
