"""The console as a process of its own, asked by Chromium; pictures of what it showed stay in `screenshots/`."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from dialogue.states import Role
from dialogue.storage.clock import utc_now
from tests.console import demo
from tests.console.conftest import House
from tests.console.e2e.served import ServedHouse
from tests.patience import wait_until
from tests.road.harness import Road, road

Open = Callable[..., Page]

ROOT = Path(__file__).parents[3]
SCREENSHOTS = ROOT / "screenshots"
PASSWORD = "four quiet green rivers"
_START_SECONDS = 90.0
_PATIENCE_MS = 30_000


class ConsoleProcess:
    """`mindglm console` on a home that others use too."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / "console.log"
        self.environment = {
            "MINDGLM_CONSOLE_SECOND_FACTOR": "offered",  # test_passkey.py asks for it
            **os.environ,
            **environment,
            "MINDGLM_CONSOLE_LISTEN": f"127.0.0.1:{port}",
        }
        self._file = self.log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "mindglm", "console"],
            env=self.environment,
            stdout=self._file,
            stderr=self._file,
        )
        wait_until(lambda: "console_ready" in self.log.read_text() or self.process.poll() is not None, _START_SECONDS)
        assert self.process.poll() is None, self.log.read_text()

    def printed_link(self) -> str:
        """What the terminal shows while there is no admin."""
        found = re.search(r"/welcome/\S+", self.log.read_text())
        assert found is not None
        return found[0]

    def add_user(self, name: str, role: str, language: str = "zh") -> None:
        argv = [sys.executable, "-m", "mindglm", "console", "add-user", name, "--role", role, "--language", language]
        subprocess.run(argv, env=self.environment, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._file.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "the browser tests need Chromium: apt-get install chromium (`python3 dev.py e2e` does it as root)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture
def open_browser(chromium: Browser, console: ConsoleProcess) -> Iterator[Callable[..., Page]]:
    """Each call is a browser of its own. Whatever breaks the content policy fails the test, and so does a script."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_one(*, name: str | None = None, width: int = 1280, height: int = 860, locale: str = "zh-CN") -> Page:
        context = chromium.new_context(
            base_url=console.url, viewport={"width": width, "height": height}, locale=locale, device_scale_factor=1
        )
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text) if _is_trouble(message.text) else None)
        if name is not None:
            sign_in(page, name)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def busy_road(short_path: Path, redis_url: str) -> Iterator[Road]:
    with road(short_path / "home", broker_url=redis_url) as opened:
        yield opened


@pytest.fixture
def week(busy_road: Road) -> list[UUID]:
    """Conversations of the last seven days, there before the console starts; oldest first."""
    return demo.fill(busy_road.services.database, busy_road.services.keys, now=utc_now())


@pytest.fixture
def console(busy_road: Road) -> Iterator[ConsoleProcess]:
    process = ConsoleProcess(busy_road.home, busy_road.environment)
    yield process
    process.close()


@pytest.fixture
def served(house: House) -> Iterator[ServedHouse]:
    house.hire("fang", Role.COUNSELLOR)
    with ServedHouse(house) as opened:
        yield opened


@pytest.fixture
def open_desk(chromium: Browser, served: ServedHouse) -> Iterator[Open]:
    """Each call is a browser of its own; a script that fails, fails the test."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_one(name: str, *, width: int = 1280, color_scheme: str = "light", script: str = "") -> Page:
        context = chromium.new_context(
            base_url=served.url,
            viewport={"width": width, "height": 860},
            locale="zh-CN",
            color_scheme=color_scheme,  # type: ignore[arg-type] # one of Playwright's words
            permissions=["notifications"],
        )
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        sign_in(page, name)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert troubles == []


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click("main form button")


def keep(page: Page, name: str) -> None:
    """A picture for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _is_trouble(text: str) -> bool:
    return "Content Security Policy" in text or "Refused to" in text
