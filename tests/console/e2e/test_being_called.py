"""What reaches somebody who looks elsewhere: the sound, the title, the notification; and what is handed on in print."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from dialogue.admin import audit
from tests.console.conftest import PASSWORD, House
from tests.console.e2e.conftest import Open, keep
from tests.console.e2e.served import ServedHouse
from tests.console.test_cases import alarm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LISTENING = """
window.notes = 0; window.told = []; window.asked = 0;
const make = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () { window.notes += 1; return make.call(this); };
const Shown = Notification;
window.Notification = class extends Shown {
  constructor(words, options) { super(words, options); window.told.push(words); }
};
"""
"""The browser's own sound and notifications, counted."""
UNDECIDED = """
window.asked = 0;
window.Notification = class {
  static get permission() { return localStorage.getItem("decided") || "default"; }
  static async requestPermission() { window.asked += 1; localStorage.setItem("decided", "denied"); return "denied"; }
};
"""
"""Nobody can click the browser's own question here."""


def notes(page: Page) -> int:
    return int(page.evaluate("window.notes"))


def test_an_alarm_rings_and_notifies_only_who_asked_for_it(served: ServedHouse, open_desk: Open) -> None:
    lin, quiet = open_desk("lin", script=LISTENING), open_desk("fang", script=LISTENING)
    for desk in (lin, quiet):
        desk.goto("/duty")
        expect(desk.locator("#alive")).to_contain_text("在线")
    assert lin.locator("#sound").get_attribute("aria-pressed") == "false"
    lin.click("#sound")
    assert lin.locator("#sound").get_attribute("aria-pressed") == "true"
    tried = notes(lin)
    assert tried == 3, "switching it on lets it be heard"
    alarm(served.house, who="甲")
    for desk in (lin, quiet):
        expect(desk).to_have_title(re.compile(r"^\(1\) "))
        expect(desk.locator("#cases tbody tr")).to_have_count(1)
    lin.wait_for_function("window.told.length === 1")
    assert notes(lin) == tried + 3
    assert notes(quiet) == 0
    assert "甲" not in lin.evaluate("window.told[0]"), "a notification may lie on a locked screen"
    lin.reload()
    expect(lin.locator("#alive")).to_contain_text("在线")
    assert lin.locator("#sound").get_attribute("aria-pressed") == "true"
    assert notes(lin) == 0, "what was there before rings no more"


def test_it_rings_while_the_desk_is_locked_and_when_the_line_is_lost(served: ServedHouse, open_desk: Open) -> None:
    lin = open_desk("lin", script=LISTENING)
    lin.goto("/duty")
    expect(lin.locator("#alive")).to_contain_text("在线")
    lin.click("#sound")
    served.house.clock.tick(3600)
    expect(lin.locator("#lock")).to_be_visible(timeout=20_000)
    assert "is-locked" in (lin.locator("body").get_attribute("class") or "")
    before = notes(lin)
    alarm(served.house, who="乙")
    expect(lin).to_have_title(re.compile(r"^\(1\) "))
    lin.wait_for_function(f"window.notes >= {before + 3}")
    assert "乙" not in lin.locator("body").inner_text()
    keep(lin, "called-while-locked")
    before = notes(lin)
    served.cut()
    expect(lin.locator("#lost")).to_be_visible(timeout=30_000)
    expect(lin).to_have_title(re.compile("^⚠"))
    expect(lin.locator("#alive")).to_contain_text("未连接")
    assert notes(lin) >= before + 3
    served.mend()
    expect(lin.locator("#lost")).to_be_hidden(timeout=30_000)
    lin.fill("#lock [name=password]", PASSWORD)
    lin.click("#unlock button")
    expect(lin.locator("#cases tbody tr")).to_have_count(1)


def test_the_browser_asks_about_notifications_once(open_desk: Open) -> None:
    lin = open_desk("lin", script=UNDECIDED)
    lin.goto("/duty")
    expect(lin.locator("#notify")).to_be_visible()
    assert lin.evaluate("window.asked") == 0, "never by itself"
    lin.click("#notify")
    expect(lin.locator("#notify")).to_be_hidden()
    assert lin.evaluate("window.asked") == 1
    lin.reload()
    expect(lin.locator("#alive")).to_contain_text("在线")
    expect(lin.locator("#notify")).to_be_hidden()


def test_a_conversation_is_printed_for_a_referral(served: ServedHouse, open_desk: Open, tmp_path: Path) -> None:
    conversation_id = alarm(served.house, who="丙")
    lin = open_desk("lin", color_scheme="dark")
    read_and_print(lin, conversation_id)
    expect(lin.locator("main")).to_contain_text("转介给市医院")
    lin.emulate_media(media="print")
    for gone in ("header", ".unprinted", "form"):
        assert not [one for one in lin.locator(gone).all() if one.is_visible()], f"{gone} is on paper"
    assert lin.evaluate("getComputedStyle(document.body).backgroundColor") in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}
    assert lin.evaluate("getComputedStyle(document.querySelector('.said')).borderTopWidth") == "0px"
    keep(lin, "printed")
    file = tmp_path / "referral.pdf"
    lin.pdf(path=file, format="A4")
    assert file.read_bytes().startswith(b"%PDF")
    assert file.stat().st_size > 5000
    assert printed(served.house) == [("console:lin", "转介给市医院")]


def read_and_print(page: Page, conversation_id: UUID) -> None:
    page.goto(f"/conversations/{conversation_id}")
    page.click("button:has-text('打开对话内容')")
    details = page.locator("details.action", has=page.locator("form[action$='/print']"))
    details.locator("summary").click()
    details.locator("button").click()
    assert page.url.endswith("/transcript#end") or "/print" not in page.url, "a reason is asked for"
    details.locator("[name=reason]").fill("转介给市医院")
    details.locator("button").click()
    expect(page).to_have_url(re.compile("/print$"))


def printed(house: House) -> list[tuple[str, str | None]]:
    with house.services.database.read() as session:
        return [(entry.actor, entry.reason) for entry in audit.entries(session, action="print")]
