"""The bench of everyday texts reads the lines that training leaves unread."""

from pathlib import Path

import pytest

from bench.everyday import main, unlearnt


def test_only_the_lines_between_are_read(tmp_path: Path) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("一\n二\n三\n四\n", "utf-8")
    assert sorted(unlearnt(file)) == ["二", "四"]
    assert len(unlearnt(file, 1)) == 1


def test_alarms_are_counted_by_file_and_in_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("今天下雨\n我想自杀\n今天下雨\n今天去公园散步\n", "utf-8")
    monkeypatch.setattr("sys.argv", ["everyday", str(file)])
    main()
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["plain", "all"]
    assert all("1/2" in row and "0/2" in row for row in rows)
