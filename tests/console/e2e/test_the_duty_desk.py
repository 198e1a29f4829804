"""A counsellor's day at the duty desk: two counsellors, three crises, a hand-over, an idle hour, a lost line."""

import re
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dialogue.admin import audit
from dialogue.admin.cases import open_cases
from tests.console import demo
from tests.console.conftest import PASSWORD, House
from tests.console.e2e.conftest import Open, keep
from tests.console.e2e.served import ServedHouse
from tests.console.test_cases import alarm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DRAFT = "我是林老师，我在听。"


def row(conversation_id: UUID) -> str:
    """The selector of its row on the desk."""
    return f"#cases tr:has(a[href='/conversations/{conversation_id}'])"


def audited(house: House, action: str) -> list[str]:
    with house.services.database.read() as session:
        return [entry.actor for entry in reversed(audit.entries(session, action=action))]


def test_a_counsellors_day(served: ServedHouse, open_desk: Open) -> None:
    house = served.house
    lin, fang = open_desk("lin"), open_desk("fang", width=390, color_scheme="dark")
    crises = three_crises_show_on_both_desks(house, lin, fang)
    first, second, third = crises
    talk = new_words_arrive_while_lin_writes(house, lin, first)
    fang_hands_over_to_lin(lin, fang, second)
    nobody_attends(house, lin)
    an_idle_hour_passes(house, lin, fang, talk, third)
    the_line_is_lost_and_found(served, lin, talk)
    every_case_ends(lin, crises)
    with house.services.database.read() as session:
        assert open_cases.open_cases(session) == []
    assert audited(house, "case_opened") == ["screening"] * 3
    assert audited(house, "case_handed") == ["console:fang"]
    assert audited(house, "case_closed") == ["console:lin"] * 3
    assert audited(house, "read") == ["console:lin"]  # one sitting, however often new words came


def three_crises_show_on_both_desks(house: House, lin: Page, fang: Page) -> list[UUID]:
    for desk in (lin, fang):
        desk.goto("/duty")
        expect(desk.locator("#alive")).to_contain_text("在线")
        expect(desk.locator(".empty")).to_be_visible()
    crises = [alarm(house, who=who) for who in ("甲", "乙", "丙")]
    for desk in (lin, fang):
        expect(desk.locator("#cases tbody tr")).to_have_count(3)
        expect(desk).to_have_title(re.compile(r"^\(3\)"))
    keep(lin, "duty-desk")
    keep(fang, "duty-desk-phone-dark")
    return crises


def new_words_arrive_while_lin_writes(house: House, lin: Page, conversation_id: UUID) -> Page:
    lin.click(f"{row(conversation_id)} button:has-text('打开')")
    lin.locator("details.action", has_text="接管").locator("summary").click()
    lin.locator("form[action$='/take-over'] button").click()
    talk = lin.context.new_page()
    talk.goto(f"/conversations/{conversation_id}")
    talk.click("button:has-text('打开对话内容')")
    talk.fill("#words", DRAFT)
    house.rooms.heard("你还在吗", who="甲")
    expect(talk.locator(".said.person").last).to_contain_text("你还在吗")
    assert talk.input_value("#words") == DRAFT
    keep(talk, "transcript-draft")
    return talk


def fang_hands_over_to_lin(lin: Page, fang: Page, conversation_id: UUID) -> None:
    fang.click(f"{row(conversation_id)} button:has-text('接手')")
    fang.locator("details.action", has_text="交给同事").locator("summary").click()
    fang.locator("form[action$='/hand'] [name=to]").select_option("lin")
    fang.locator("form[action$='/hand'] [name=note]").fill("她在家，母亲在旁边")
    fang.locator("form[action$='/hand'] button").click()
    expect(fang.locator(".notice")).to_contain_text("已交给同事")
    lin.goto("/duty")
    expect(lin.locator(row(conversation_id))).to_contain_text("等 console:lin 查看")
    lin.click(f"{row(conversation_id)} button:has-text('接手')")
    expect(lin.locator(".notice")).to_contain_text("已由你接手")


def nobody_attends(house: House, lin: Page) -> None:
    lin.goto("/")
    expect(lin.locator("h1")).to_contain_text("1 人无人接手")
    house.clock.tick(301)
    lin.reload()
    expect(lin.locator(".alarm")).to_contain_text("等得太久")
    assert "运行正常" not in lin.content()
    keep(lin, "overview-overdue")


def an_idle_hour_passes(house: House, lin: Page, fang: Page, talk: Page, conversation_id: UUID) -> None:
    """The desk stays alive and shows nobody; the draft stays."""
    for desk in (lin, fang):
        desk.goto("/duty")
        expect(desk.locator(row(conversation_id))).to_be_visible()
    house.clock.tick(3600)
    for page in (lin, fang, talk):
        expect(page.locator("#lock")).to_be_visible(timeout=20_000)
    expect(lin.locator(row(conversation_id))).to_be_hidden()
    expect(talk.locator(".said")).to_have_count(0)
    expect(lin).to_have_title(re.compile(r"^\(1\)"))
    keep(lin, "duty-desk-locked")
    talk.fill("#lock [name=password]", "not the password")
    talk.click("#unlock button")
    expect(talk.locator("#lock-error")).to_contain_text("密码不对")
    for page in (talk, lin):
        page.fill("#lock [name=password]", PASSWORD)
        page.click("#unlock button")
        expect(page.locator("#lock")).to_be_hidden()
    expect(talk.locator(".said.person").last).to_contain_text("你还在吗")
    assert talk.input_value("#words") == DRAFT
    expect(lin.locator(row(conversation_id))).to_be_visible()


def the_line_is_lost_and_found(served: ServedHouse, lin: Page, talk: Page) -> None:
    served.cut()
    expect(lin.locator("#lost")).to_be_visible(timeout=30_000)
    keep(lin, "duty-desk-lost")
    served.mend()
    expect(lin.locator("#lost")).to_be_hidden(timeout=30_000)
    expect(talk.locator("#lost")).to_be_hidden(timeout=30_000)
    assert talk.input_value("#words") == DRAFT
    talk.click("form[action$='say#end'] button")
    expect(talk.locator(".said.human")).to_contain_text(DRAFT)


def every_case_ends(lin: Page, crises: list[UUID]) -> None:
    for conversation_id in crises:
        lin.goto(f"/conversations/{conversation_id}")
        lin.locator("details.action", has_text="结案").locator("summary").click()
        form = lin.locator("form[action^='/cases/'][action$='/close']")
        form.locator("[name=outcome]").select_option("spoke")
        form.locator("[name=note]").fill("已通话，目前安全")
        form.locator("button").click()
        expect(lin.locator(".notice")).to_contain_text("已结案")
    lin.goto("/duty")
    expect(lin.locator(".empty")).to_be_visible()


@pytest.mark.parametrize(("width", "color_scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_no_page_has_a_fault_that_axe_finds(
    served: ServedHouse, open_desk: Open, width: int, color_scheme: str
) -> None:
    house = served.house
    ids = demo.fill(house.services.database, house.services.keys, now=house.clock())
    page = open_desk("lin", width=width, color_scheme=color_scheme)
    found: list[str] = []

    def look(name: str) -> None:
        keep(page, f"axe-{name}-{width}-{color_scheme}")
        violations = Axe().run(page).response["violations"]
        found.extend(f"{name}: {one['id']} {[node['target'] for node in one['nodes'][:3]]}" for one in violations)

    for name, path in {
        "overview": "/",
        "duty": "/duty",
        "closed": "/duty/closed",
        "conversations": "/conversations?tier=2",
        "conversation": f"/conversations/{ids[-3]}",
        "deliveries": "/deliveries",
        "complaints": "/complaints",
        "figures": "/figures",
        "audit": "/audit?actor=nobody",
        "hotlines": "/hotlines",
        "account": "/account",
    }.items():
        page.goto(path)
        look(name)
    page.goto(f"/conversations/{ids[-3]}")
    page.click("button:has-text('打开对话内容')")
    look("transcript")
    page.click(".beside a[href^='/people/']")
    page.click("button:has-text('打开备注')")
    look("person")
    page.goto("/duty")
    page.click("td a[href^='/cases/']")
    for summary in page.locator("details.action > summary").all():
        summary.click()
    look("case")
    house.clock.tick(3600)
    page.goto("/duty")
    look("locked")
    assert found == [], "\n".join(found)
