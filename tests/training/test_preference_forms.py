"""Published forms of comparisons are read as they are meant, or refused by file, line and reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from training.data.preferences import read_preferences
from training.trouble import TrainingTrouble

CLIENT = {"role": "user", "content": "我睡不着"}
EARLIER = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好，请说"}]
GOOD, BAD = "睡不着有多久了？", "多喝热水"

FORMS: dict[str, dict[str, Any]] = {
    "TRL, texts": {"prompt": "我睡不着", "chosen": GOOD, "rejected": BAD},
    "TRL, messages": {
        "prompt": [*EARLIER, CLIENT],
        "chosen": [{"role": "assistant", "content": GOOD}],
        "rejected": [{"role": "assistant", "content": BAD}],
    },
    "TRL, implicit prompt": {
        "chosen": [*EARLIER, CLIENT, {"role": "assistant", "content": GOOD}],
        "rejected": [*EARLIER, CLIENT, {"role": "assistant", "content": BAD}],
    },
    "TRL, prompt repeated": {
        "prompt": "我睡不着",
        "chosen": [CLIENT, {"role": "assistant", "content": GOOD}],
        "rejected": [CLIENT, {"role": "assistant", "content": BAD}],
    },
    "LLaMA-Factory, sharegpt": {
        "conversations": [
            {"from": "system", "value": "你是咨询师"},
            {"from": "human", "value": "你好"},
            {"from": "gpt", "value": "你好，请说"},
            {"from": "human", "value": "我睡不着"},
        ],
        "chosen": {"from": "gpt", "value": GOOD},
        "rejected": {"from": "gpt", "value": BAD},
    },
    "LLaMA-Factory, alpaca": {"instruction": "我睡不着", "input": "", "chosen": GOOD, "rejected": BAD},
    "LLaMA-Factory, alpaca with history": {
        "instruction": "我睡不着",
        "history": [["你好", "你好，请说"]],
        "chosen": GOOD,
        "rejected": BAD,
    },
    "ms-swift": {
        "messages": [*EARLIER, CLIENT, {"role": "assistant", "content": GOOD}],
        "rejected_response": BAD,
    },
    "HH": {
        "chosen": f"\n\nHuman: 你好\n\nAssistant: 你好，请说\n\nHuman: 我睡不着\n\nAssistant: {GOOD}",
        "rejected": f"\n\nHuman: 你好\n\nAssistant: 你好，请说\n\nHuman: 我睡不着\n\nAssistant: {BAD}",
    },
    "ranked": {"instruction": "我睡不着", "input": "", "output": [GOOD, BAD]},
    "scored": {
        "prompt": "我睡不着",
        "responses": [{"text": BAD, "score": 2}, {"text": GOOD, "score": 4.5}],
    },
    "scored completions": {
        "instruction": "我睡不着",
        "completions": [{"response": BAD, "overall_score": 1}, {"response": GOOD, "overall_score": 5}],
    },
}

REFUSED: dict[str, tuple[Any, str]] = {
    "no prompt": ({"chosen": GOOD, "rejected": BAD}, "no prompt"),
    "two prompts": ({"prompt": "甲", "instruction": "乙", "chosen": GOOD, "rejected": BAD}, "both"),
    "another speaker last": ({"prompt": [CLIENT, *EARLIER], "chosen": GOOD, "rejected": BAD}, "alternate"),
    "an unknown role": (
        {"prompt": [{"role": "tool", "content": "x"}], "chosen": GOOD, "rejected": BAD},
        "somebody unknown",
    ),
    "the client's words as a reply": ({"prompt": "甲", "chosen": CLIENT, "rejected": BAD}, "not the supporter's"),
    "conversations that differ": (
        {
            "chosen": [CLIENT, {"role": "assistant", "content": GOOD}],
            "rejected": [{"role": "user", "content": "别的"}, {"role": "assistant", "content": BAD}],
        },
        "differ before",
    ),
    "equal replies": ({"prompt": "甲", "chosen": GOOD, "rejected": f"{GOOD} "}, "the same"),
    "an empty reply": ({"prompt": "甲", "chosen": " ", "rejected": BAD}, "empty"),
    "one ranked reply": ({"prompt": "甲", "output": [GOOD]}, "fewer than two"),
    "equal scores": ({"prompt": "甲", "responses": [{"text": "a", "score": 1}, {"text": "b", "score": 1}]}, "same"),
    "a label that is a number": ({"prompt": "甲", "completion": GOOD, "label": 1}, "neither true nor false"),
    "no object": ([1, 2], "no object"),
    "another form": ({"question": "甲"}, "none of the known forms"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_published_form_of_a_comparison_is_read_as_it_is_meant(tmp_path: Path, form: str) -> None:
    (read,) = read_preferences(written(tmp_path, FORMS[form]))
    has_history = "你好，请说" in json.dumps(FORMS[form], ensure_ascii=False)
    assert (read.text, read.chosen, read.rejected) == ("我睡不着", GOOD, BAD)
    assert read.history == ((("你好", "你好，请说"),) if has_history else ())
    assert read.origin == "published"


def test_a_chosen_text_never_leaks_into_the_prompt(tmp_path: Path) -> None:
    file = written(tmp_path, {"instruction": "我睡不着", "input": "三天了", "chosen": GOOD, "rejected": BAD})
    (read,) = read_preferences(file)
    assert read.text == "我睡不着\n三天了"


def test_good_and_bad_replies_to_the_same_words_are_compared(tmp_path: Path) -> None:
    lines = [
        {"prompt": "我睡不着", "completion": GOOD, "label": True},
        {"prompt": "我睡不着", "completion": BAD, "label": False},
        {"prompt": "别的", "completion": "嗯", "label": True},
        {"messages": [CLIENT, {"role": "assistant", "content": "去睡吧"}], "kto_tag": False},
    ]
    found = read_preferences(written(tmp_path, *lines))
    assert [(one.text, one.chosen, one.rejected) for one in found] == [
        ("我睡不着", GOOD, BAD),
        ("我睡不着", GOOD, "去睡吧"),
    ]


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_file_line_and_reason(tmp_path: Path, case: str) -> None:
    item, reason = REFUSED[case]
    with pytest.raises(TrainingTrouble, match=rf"published.jsonl:1: .*{reason}"):
        read_preferences(written(tmp_path, item))


def test_single_bad_lines_are_counted_and_many_are_an_error(tmp_path: Path) -> None:
    good = FORMS["TRL, texts"]
    said: list[str] = []
    file = written(tmp_path, *[good] * 30, {"question": "甲"})
    assert len(read_preferences(file, say=said.append)) == 30
    assert said == ["published.jsonl: 1 of 31 lines left out: published.jsonl:31: it has none of the known forms"]
    with pytest.raises(TrainingTrouble, match=r"published\.jsonl:1"):
        read_preferences(written(tmp_path, *[{"question": "甲"}] * 3, *[good] * 30))


def test_a_line_that_is_no_json_is_refused_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "published.jsonl"
    file.write_text(json.dumps(FORMS["TRL, texts"]) + "\n{broken\n", encoding="utf-8")
    said: list[str] = []
    assert len(read_preferences(file, say=said.append)) == 1
    assert "published.jsonl:2" in said[0]


def written(tmp_path: Path, *items: Any) -> Path:
    file = tmp_path / "published.jsonl"
    file.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in items), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "甲", "history": [["乙", "丙"]], "chosen": "丁", "rejected": "戊"}',
        '{"prompt": "甲", "input": "乙", "chosen": "丁", "rejected": "戊"}',
        '{"prompt": "甲", "history": [["乙", "丙"]], "output": ["丁", "戊"]}',
        '{"prompt": "甲", "responses": [{"text": "丁", "score": NaN}, {"text": "戊", "score": 1}]}',
        '{"prompt": "甲", "chosen": "丁", "chosen": "己", "rejected": "戊"}',
        '{"prompt": "甲", "chosen": "\\ud83d", "rejected": "戊"}',
        '{"prompt": "甲", "chosen": ["丁", "己"], "rejected": "戊"}',
        '{"prompt": "甲", "chosen": {"role": "user", "content": "丁"}, "rejected": "戊"}',
        '{"prompt": "甲", "chosen": {"role": "assistant", "from": "gpt", "content": "丁"}, "rejected": "戊"}',
        '{"prompt": "甲", "chosen": null, "rejected": "戊"}',
        '{"messages": [{"role": "user", "content": "甲"}], "chosen": "丁", "rejected": "戊"}',
        '{"history": [], "text": 7, "chosen": "丁", "rejected": "戊"}',
        '{"history": [["乙"]], "text": "甲", "chosen": "丁", "rejected": "戊"}',
        '{"prompt": "甲", "completion": "丁", "label": 1}',
        "[" * 100_000,
    ],
)
def test_odd_lines_are_refused_by_their_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "published.jsonl"
    good = json.dumps(FORMS["TRL, texts"], ensure_ascii=False)
    file.write_text(f"\ufeff{good}\n{line}\n", encoding="utf-8")
    said: list[str] = []
    assert len(read_preferences(file, say=said.append)) == 1
    assert "published.jsonl:2: " in said[0]
    assert "丁" not in said[0]
