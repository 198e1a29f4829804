"""`mindglm chat` as a person or a script uses it: real processes, the embedded default, the scripted engine."""

import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.patience import wait_until
from tests.services import zygote
from tests.services.migrated import migrate

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Finished:
    status: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """As a chat that nobody spoke in has left it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    migrate(sqlite_url(home / "mindglm.db"))
    return home


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "MINDGLM_ENGINE": "scripted", "MINDGLM_HOME": str(home)}


@pytest.fixture
def chat(environment: dict[str, str], tmp_path: Path) -> Callable[..., Finished]:
    """Run a whole conversation that was written down before."""

    def run(said: str | bytes, *arguments: str, **variables: str) -> Finished:
        directory = Path(tempfile.mkdtemp(dir=tmp_path))
        given, out, err = directory / "said", directory / "out", directory / "err"
        given.write_bytes(said.encode() if isinstance(said, str) else said)
        process = zygote.start(
            "mindglm", "chat", *arguments, environment={**environment, **variables}, said=given, log=out, errors=err
        )
        return Finished(process.wait(PATIENCE_SECONDS), out.read_text(), err.read_text())

    return run


def processes_of(home: Path) -> list[psutil.Process]:
    """Everything that still runs for that home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MINDGLM_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def test_every_line_of_a_pipe_is_answered_in_order_and_nothing_else_is_said(
    chat: Callable[..., Finished], home: Path
) -> None:
    shutil.rmtree(home)  # as at the very first start
    done = chat("你好\n我很难过\n\n   \n你在吗")
    assert done.status == 0
    assert done.out == (
        "求助者:你好\n支持者:收到：你好\n求助者:我很难过\n支持者:收到：我很难过\n求助者:你在吗\n支持者:收到：你在吗\n"
    )
    assert "程序" in done.err
    assert "不能代替专业帮助" in done.err
    assert processes_of(home) == []


def test_the_bundled_model_is_called_a_toy_before_its_first_reply(chat: Callable[..., Finished], home: Path) -> None:
    assert "小模型" not in chat("", MINDGLM_ENGINE="scripted").err
    toy = chat("", MINDGLM_ENGINE="transformers")
    assert "MINDGLM_MODEL" in toy.err
    assert "只供试用" in toy.err
    assert "小模型" not in chat("", MINDGLM_ENGINE="transformers", MINDGLM_MODEL=str(home / "another")).err


def test_the_end_words_say_goodbye_and_end(chat: Callable[..., Finished]) -> None:
    done = chat("你好\n 结束对话。\n这句不该有人看\n")
    assert done.status == 0
    assert done.out.splitlines()[2] == "求助者: 结束对话。"
    assert "照顾好自己" in done.out.splitlines()[3]
    assert "不该有人看" not in done.out


def test_opening_again_continues_the_conversation(chat: Callable[..., Finished]) -> None:
    template = {"MINDGLM_SCRIPTED_REPLY": "{turns}"}
    assert "支持者:0\n" in chat("一\n", **template).out
    second = chat("二\n/reset\n三\n", **template)
    assert "支持者:1\n" in second.out
    assert second.out.endswith("求助者:三\n支持者:0\n")
    assert "1 轮" in second.err


def test_strange_input_is_answered_and_never_breaks_the_loop(chat: Callable[..., Finished]) -> None:
    lines = [
        "半\ud83d".encode("utf-8", "surrogatepass"),
        b"\xff\xfe",
        b"\x00\x07",
        "👨‍👩‍👧😭\u202e".encode(),
        "长".encode() * 100_000,
    ]
    done = chat(b"\n".join([*lines, "还在吗".encode()]))
    assert done.status == 0
    assert "Traceback" not in done.err
    answers = re.findall(r"^支持者:(.*)$", done.out, re.MULTILINE)
    assert len(answers) == 6
    assert "没有收到文字" in answers[2]
    assert "100000 个字" in answers[4]
    assert answers[5] == "收到：还在吗"


@pytest.mark.e2e
def test_two_windows_at_once_hold_two_conversations(environment: dict[str, str], home: Path) -> None:
    argv = [sys.executable, "-m", "mindglm", "chat"]
    slow = {**environment, "MINDGLM_SCRIPTED_DELAY_SECONDS": "1", "MINDGLM_SCRIPTED_REPLY": "{turns}"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    first = subprocess.Popen(argv, env=slow, **pipes)  # type: ignore[call-overload]  # the same pipes twice
    wait_until((home / "valkey.sock").exists, PATIENCE_SECONDS)
    second = subprocess.Popen(argv, env=slow, **pipes)  # type: ignore[call-overload]  # as above
    out_first, _ = first.communicate("一\n二\n".encode(), PATIENCE_SECONDS)
    out_second, err_second = second.communicate("甲\n乙\n".encode(), PATIENCE_SECONDS)
    assert "支持者:0\n求助者:二\n支持者:1\n" in out_first.decode()
    assert "支持者:0\n求助者:乙\n支持者:1\n" in out_second.decode()
    assert "第 2 个窗口" in err_second.decode()
    assert processes_of(home) == []


class Terminal:
    """A chat in a terminal, as a person sees it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._parent, child = pty.openpty()
        os.set_blocking(self._parent, False)
        self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mindglm", "chat"],
            stdin=child,
            stdout=child,
            stderr=child,
            env={**environment, "TERM": "dumb"},
            preexec_fn=lambda: os.login_tty(child),  # noqa: PLW1509 - so that Ctrl-C comes as it does for a person
        )
        os.close(child)

    def type(self, text: str) -> None:
        os.write(self._parent, text.encode())

    def shows(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        wait_until(lambda: text in self._read(), seconds)

    def ends(self) -> int:
        wait_until(lambda: (self._read(), self.process.poll())[1] is not None, PATIENCE_SECONDS)
        os.close(self._parent)
        return self.process.returncode

    def _read(self) -> str:
        try:
            self.screen += os.read(self._parent, 65536).decode("utf-8", "replace")
        except (BlockingIOError, OSError):
            time.sleep(0.02)
        return self.screen


def test_a_person_sees_the_reply_grow(environment: dict[str, str]) -> None:
    terminal = Terminal(
        {
            **environment,
            "MINDGLM_SCRIPTED_DELAY_SECONDS": "2",
            "MINDGLM_SCRIPTED_REPLY": "谢谢你告诉我。听起来你很累。我们慢慢来。你想先说哪一件？",
        }
    )
    terminal.shows("求助者:")
    terminal.type("你好\n")
    terminal.shows("支持者:谢谢你告诉我。")
    assert "哪一件" not in terminal.screen
    terminal.shows("哪一件？")
    terminal.type("结束对话\n")
    assert terminal.ends() == 0
    assert terminal.screen.count("谢谢你告诉我") == 1


@pytest.mark.e2e
def test_ctrl_c_leaves_no_process_and_loses_nothing(environment: dict[str, str], home: Path) -> None:
    slow = {**environment, "MINDGLM_SCRIPTED_DELAY_SECONDS": "30"}
    terminal = Terminal(slow)
    terminal.shows("求助者:")
    terminal.type("我睡不着\n")
    wait_until(lambda: _count(home, "SELECT count(*) FROM turns WHERE state = 'generating'") == 1, PATIENCE_SECONDS)
    terminal.type("\x03")
    terminal.shows("说过的话都保存着", seconds=20)
    assert terminal.ends() == 128 + signal.SIGINT
    assert processes_of(home) == []

    again = Terminal(environment)
    again.shows("收到：我睡不着")
    again.type("结束对话\n")
    assert again.ends() == 0
    assert again.screen.count("收到：我睡不着") == 1


def test_a_chat_that_is_killed_leaves_no_process(environment: dict[str, str], home: Path) -> None:
    terminal = Terminal(environment)
    terminal.shows("求助者:")
    terminal.type("你好\n")
    terminal.shows("收到：你好")
    terminal.process.kill()
    terminal.ends()
    wait_until(lambda: processes_of(home) == [], 20)


def test_a_killed_worker_is_started_again(environment: dict[str, str], home: Path) -> None:
    terminal = Terminal({**environment, "MINDGLM_LEASE_SECONDS": "2"})
    terminal.shows("求助者:")
    terminal.type("一\n")
    terminal.shows("收到：一")
    (worker,) = (process for process in processes_of(home) if "worker" in process.cmdline())
    worker.kill()
    terminal.type("二\n")
    terminal.shows("收到：二")
    terminal.type("结束对话\n")
    assert terminal.ends() == 0


class TestClearErrors:
    """With the status that the one table of docs/operations.md has for each."""

    def test_of_a_wrong_secret_key(self, chat: Callable[..., Finished]) -> None:
        chat("你好\n")
        done = chat("我的话\n", MINDGLM_SECRET_KEY=new_secret())
        self.is_one_line(done, "MINDGLM_SECRET_KEY")

    def test_of_a_key_that_is_none(self, chat: Callable[..., Finished]) -> None:
        self.is_one_line(chat("我的话\n", MINDGLM_SECRET_KEY="geheim"), "base64 of 32 bytes")

    def test_of_a_database_that_is_newer_than_the_code(self, chat: Callable[..., Finished], home: Path) -> None:
        chat("你好\n")
        with sqlite3.connect(home / "mindglm.db") as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
            database.execute("DELETE FROM compatibility")
            database.execute("INSERT INTO compatibility VALUES ('9999')")
        database.close()
        self.is_one_line(chat("我的话\n"), "9999")

    def test_of_a_database_that_cannot_be_opened(self, chat: Callable[..., Finished], tmp_path: Path) -> None:
        done = chat("我的话\n", MINDGLM_DATABASE_URL=f"sqlite:///{tmp_path}/no/such/directory.db")
        self.is_one_line(done, "unable to open database file", status=os.EX_TEMPFAIL)

    @pytest.mark.parametrize("url", ["nonsense", "mysql://root:geheim@h/d", "oracle://u:geheim@h"])
    def test_of_a_database_url_that_is_none(self, chat: Callable[..., Finished], url: str) -> None:
        done = chat("我的话\n", MINDGLM_DATABASE_URL=url)
        self.is_one_line(done, "MINDGLM_DATABASE_URL")
        assert "geheim" not in done.err

    def test_of_a_broker_url_that_is_none(self, chat: Callable[..., Finished]) -> None:
        self.is_one_line(chat("我的话\n", MINDGLM_BROKER_URL="http://:geheim@nowhere"), "MINDGLM_BROKER_URL")

    def test_of_a_broker_that_is_not_there(self, chat: Callable[..., Finished]) -> None:
        done = chat("我的话\n", MINDGLM_BROKER_URL="redis://:geheim@127.0.0.1:1/0")
        self.is_one_line(done, "MINDGLM_BROKER_URL", status=os.EX_TEMPFAIL)

    def test_of_a_setting_that_is_none(self, chat: Callable[..., Finished]) -> None:
        done = chat("我的话\n", MINDGLM_WINDOW_MAX_TURNS="viele")
        self.is_one_line(done, "MINDGLM_WINDOW_MAX_TURNS")

    def test_of_a_worker_that_cannot_start(self, chat: Callable[..., Finished]) -> None:
        done = chat("我的话\n", MINDGLM_ENGINE="openai")
        self.is_one_line(done, "MINDGLM_OPENAI_BASE_URL")

    @pytest.mark.e2e
    def test_of_a_model_directory_that_is_none(self, chat: Callable[..., Finished], tmp_path: Path) -> None:
        done = chat("我的话\n", MINDGLM_ENGINE="transformers", MINDGLM_MODEL=str(tmp_path))
        self.is_one_line(done, str(tmp_path))

    def test_of_a_home_that_cannot_be_made(self, chat: Callable[..., Finished], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        self.is_one_line(chat("我的话\n", MINDGLM_HOME=str(tmp_path / "file" / "home")), "MINDGLM_HOME")

    @staticmethod
    def is_one_line(done: Finished, words: str, *, status: int = os.EX_CONFIG) -> None:
        assert done.status == status, done
        assert words in done.err
        assert "Traceback" not in done.err + done.out
        assert "geheim" not in done.err + done.out
        assert done.out in {"", "求助者:我的话\n"}


def _count(home: Path, query: str) -> int:
    if not (home / "mindglm.db").exists():
        return 0
    database = sqlite3.connect(home / "mindglm.db")
    try:
        return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()
