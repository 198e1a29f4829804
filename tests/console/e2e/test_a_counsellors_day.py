"""What staff do in a browser, against real processes: console, worker, broker, and a person who writes."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from dialogue.admin import audit
from dialogue.states import DeliveryState
from dialogue.tables import Conversation, Delivery
from tests.console.e2e.conftest import PASSWORD, ConsoleProcess, keep, sign_in
from tests.patience import wait_until
from tests.road.harness import Road

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Open = Callable[..., Page]


def conversations(road: Road, who: str = "小王") -> list[Conversation]:
    with road.services.database.read() as session:
        found = select(Conversation).where(Conversation.chat_id == who).order_by(Conversation.epoch)
        return list(session.scalars(found))


def audited(road: Road, action: str, actor: str = "console:lin") -> int:
    with road.services.database.read() as session:
        return len(audit.entries(session, action=action, actor=actor))


def confirm(page: Page, what: str, *, reason: str = "") -> None:
    """Open the form of an action, and send it."""
    details = page.locator("details.action", has=page.locator("summary", has_text=re.compile(f"^{what}$")))
    details.locator("summary").click()
    details.locator("[name=reason]").fill(reason)
    details.locator("button").click()


def test_from_the_link_on_the_terminal_to_a_staff_of_three(console: ConsoleProcess, open_browser: Open) -> None:
    chief = open_browser()
    chief.goto(console.printed_link())
    keep(chief, "welcome")
    chief.fill("[name=name]", "Chen")
    chief.fill("[name=password]", PASSWORD)
    chief.fill("[name=again]", PASSWORD)
    chief.click("main form button")
    expect(chief.locator(".notice")).to_be_visible()
    chief.goto("/staff")
    form = chief.locator("form[action='/staff']")
    form.locator("[name=name]").fill("lin")
    form.locator("[name=role]").select_option("counsellor")
    form.locator("button").click()
    link = chief.locator("input.link").input_value()
    keep(chief, "staff")

    lin = open_browser()
    lin.goto(link)
    lin.fill("[name=password]", PASSWORD)
    lin.fill("[name=again]", PASSWORD)
    lin.click("main form button")
    expect(lin.locator("nav")).not_to_contain_text("人员")
    lin.goto("/staff")
    expect(lin.locator("h1")).to_have_text("你的权限不够")
    keep(lin, "error")
    lin.click("header form button")
    expect(lin).to_have_url(re.compile("/sign-in"))

    for _ in range(8):
        sign_in(lin, "lin", "not the password")
        expect(lin.locator("[role=alert]")).to_have_text("用户名或密码不对。")
    sign_in(lin, "lin")
    expect(lin.locator("[role=alert]")).to_contain_text("尝试次数太多")
    keep(lin, "throttled")


def test_find_read_reset_and_send_again(
    busy_road: Road, week: list[UUID], console: ConsoleProcess, open_browser: Open
) -> None:
    ids = week
    busy_road.start_worker(MINDGLM_SCRIPTED_DELAY_SECONDS="60")
    busy_road.say("我想聊聊")
    wait_until(lambda: "generating" in busy_road.states(), 30)
    console.add_user("lin", "counsellor")
    page = open_browser(name="lin")
    page.goto("/conversations")
    keep(page, "conversations")
    page.select_option("[name=channel]", "wechat")
    page.select_option("[name=tier]", "2")
    page.click("form.filters button")
    expect(page.locator("tbody tr").first).to_contain_text("微信")
    expect(page.locator("tbody")).not_to_contain_text("Telegram")
    page.fill("[name=q]", str(ids[-3]))
    page.click("form.filters button")
    expect(page).to_have_url(re.compile(f"/conversations/{ids[-3]}$"))
    keep(page, "conversation")

    assert audited(busy_road, "read") == 0
    page.click("button:has-text('打开对话内容')")
    expect(page.locator(".said.person").first).to_contain_text("睡不着")
    keep(page, "transcript")
    assert audited(busy_road, "read") == 1

    (mine,) = conversations(busy_road)
    page.goto(f"/conversations/{mine.id}")
    confirm(page, "重置", reason="测试")
    expect(page.locator(".notice")).to_contain_text("已重置")
    assert busy_road.states()[-1] == "discarded"
    busy_road.say("还在吗")
    assert [one.closed_at is None for one in conversations(busy_road)] == [False, True]

    page.goto("/deliveries")
    keep(page, "deliveries")
    rows = page.locator("tbody tr").count()
    page.locator("tbody tr").first.locator("button").click()
    expect(page.locator("tbody tr")).to_have_count(rows - 1)
    with busy_road.services.database.read() as session:
        assert session.scalars(select(Delivery).where(Delivery.state == DeliveryState.PENDING)).all()
    page.goto("/audit")
    expect(page.locator("tbody")).to_contain_text("测试")
    keep(page, "audit")


def test_a_human_takes_over_in_one_browser_and_answers_in_another(
    busy_road: Road, console: ConsoleProcess, open_browser: Open
) -> None:
    busy_road.start_worker(MINDGLM_SCRIPTED_DELAY_SECONDS="0.2")
    busy_road.start_courier()
    busy_road.say("我想和真人说话")
    busy_road.wait_for_answers(1)
    for name in ("lin", "fang"):
        console.add_user(name, "counsellor")
    (conversation,) = conversations(busy_road)
    desk, phone = open_browser(name="lin"), open_browser(name="lin", width=390, height=780)
    desk.goto(f"/conversations/{conversation.id}")
    confirm(desk, "接管")
    expect(desk.locator(".notice")).to_contain_text("你已接管")

    phone.goto(f"/conversations/{conversation.id}")
    phone.click("button:has-text('打开对话内容')")
    busy_road.say("你是真人吗，我有点怕")
    expect(phone.locator(".said.person").last).to_contain_text("有点怕", timeout=30_000)  # by itself
    phone.fill("#words", "我是林老师，我在。")
    busy_road.say("好的")
    expect(phone.locator(".said.person").last).to_contain_text("好的", timeout=30_000)
    assert phone.input_value("#words") == "我是林老师，我在。"  # a draft is not thrown away
    phone.click("form[action$='say#end'] button")
    expect(phone.locator(".said.human")).to_contain_text("我是林老师")
    keep(phone, "takeover-phone")
    phone.reload()  # sends the form again, as a browser does
    expect(phone.locator(".said.human")).to_have_count(1)
    wait_until(lambda: any("我是林老师" in answer for answer in busy_road.answers()), 30)
    assert sum("我是林老师" in answer for answer in busy_road.answers()) == 1

    colleague = open_browser(name="fang")
    colleague.goto(f"/conversations/{conversation.id}")
    colleague.click("button:has-text('打开对话内容')")
    expect(colleague.locator("#end")).to_contain_text("console:lin")
    assert colleague.locator("#words").count() == 0

    desk.goto(f"/conversations/{conversation.id}")
    confirm(desk, "交还给程序")
    before = len(busy_road.answers())
    busy_road.say("谢谢")
    busy_road.wait_for_answers(before + 1)
    assert audited(busy_road, "say") == 1


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_fits_a_phone_and_a_desk(
    language: str, week: list[UUID], console: ConsoleProcess, open_browser: Open
) -> None:
    ids = week
    console.add_user("chen", "admin", language)
    pages = {
        "overview": "/",
        "figures-day": "/figures",
        "figures-week": "/figures?span=week",
        "conversations": "/conversations",
        "conversation": f"/conversations/{ids[-3]}",
        "deliveries": "/deliveries",
        "complaints": "/complaints",
        "audit": "/audit",
        "hotlines": "/hotlines",
        "staff": "/staff",
        "account": "/account",
        "not-found": "/conversations/nothing",
    }
    for size, width, height in (("phone", 390, 780), ("desk", 1280, 860)):
        page = open_browser(width=width, height=height, locale="en-GB" if language == "en" else "zh-CN")
        page.goto("/sign-in")
        keep(page, f"{language}-{size}-sign-in")
        sign_in(page, "chen")
        expect(page.locator("nav")).to_be_visible()
        for name, path in pages.items():
            page.goto(path)
            keep(page, f"{language}-{size}-{name}")
            assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth"), (size, name)
            if size == "phone":
                small = page.evaluate("Math.min(...[...document.querySelectorAll('nav a')].map(a => a.offsetHeight))")
                assert not small or small >= 36, name
        page.goto(f"/conversations/{ids[-3]}")
        page.click("form[action$='transcript#end'] button")
        keep(page, f"{language}-{size}-transcript")
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
        page.goto("/complaints")
        page.click("form[action$='/words'] button")
        expect(page.locator(".said.person")).to_be_visible()
        keep(page, f"{language}-{size}-complaint")
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")


def test_everything_can_be_done_without_scripts_and_in_the_dark(
    week: list[UUID], console: ConsoleProcess, chromium: Browser
) -> None:
    ids = week
    console.add_user("lin", "counsellor")
    context = chromium.new_context(base_url=console.url, java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    sign_in(page, "lin")
    keep(page, "dark-overview")
    page.goto("/figures?span=week")
    keep(page, "dark-figures")
    page.goto(f"/conversations/{ids[-1]}")
    page.click("summary:has-text('接管')")
    page.click("details[open] button")
    expect(page.locator(".notice")).to_contain_text("你已接管")
    page.click("button:has-text('打开对话内容')")
    page.fill("#words", "我在。")
    page.click("form[action$='say#end'] button")
    expect(page.locator(".said.human")).to_contain_text("我在。")
    keep(page, "dark-transcript")
    context.close()
