"""An admin and a person in two chats: an alarm, a takeover with replies, a reset while a reply is generated."""

from collections.abc import Callable
from typing import Any

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.wire import BOT, Sent
from tests.patience import wait_until

PERSON, ADMIN = 5001, 9001


def last(clinic: Clinic, chat_id: int, words: str, *, seconds: float = 20) -> Sent:
    """The newest message of the bot's in that chat that holds those words."""

    def found() -> list[Sent]:
        return [sent for sent in clinic.telegram.sent[chat_id] if words in sent.text]

    wait_until(lambda: bool(found()), seconds)
    return found()[-1]


def reply(clinic: Clinic, to: Sent, text: str) -> None:
    chat: dict[str, Any] = {"id": ADMIN, "type": "private", "first_name": "人"}
    original = {"message_id": to.message_id, "from": BOT, "chat": chat, "date": 1, "text": to.text}
    clinic.telegram.write(ADMIN, text, reply_to_message=original)


def test_an_alarm_leads_to_a_takeover_and_back(open_clinic: Callable[..., Clinic]) -> None:
    clinic = open_clinic(MINDGLM_ADMINS=f"telegram:{ADMIN}").open()
    clinic.telegram.write(PERSON, "我最近一直想自杀")
    alert = last(clinic, ADMIN, "风险等级 2")
    assert "自杀" not in alert.text
    last(clinic, PERSON, "12356")
    last(clinic, PERSON, "收到：")

    assert "/admin takeover" in alert.text  # and by the button below it
    clinic.telegram.press(ADMIN, alert, 0)
    last(clinic, ADMIN, "你已接手")
    last(clinic, PERSON, "由真人咨询师和你说话")

    clinic.telegram.write(PERSON, "你好，有人吗")
    relayed = last(clinic, ADMIN, "你好，有人吗")
    reply(clinic, relayed, "在的，我姓李")
    assert last(clinic, PERSON, "我姓李").text == "【真人咨询师】在的，我姓李"
    last(clinic, ADMIN, "✓")
    assert not any("收到：你好，有人吗" in text for text in clinic.telegram.texts(PERSON))

    clinic.telegram.write(ADMIN, "/admin release")
    last(clinic, PERSON, "真人咨询师先离开了")
    clinic.telegram.write(PERSON, "谢谢")
    last(clinic, PERSON, "收到：谢谢")
    wait_until(clinic.is_quiet, 20)
    for words in ("自杀", "有人吗", "我姓李"):
        assert words not in clinic.logs()


def test_an_alarm_arrives_also_where_telegram_refuses_the_button_that_opens_the_console(
    open_clinic: Callable[..., Clinic],
) -> None:
    clinic = open_clinic(MINDGLM_ADMINS=f"telegram:{ADMIN}", MINDGLM_CONSOLE_URL="https://console:8443").open()
    clinic.telegram.write(PERSON, "我最近一直想自杀")
    alert = last(clinic, ADMIN, "风险等级 2")
    assert "https://console:8443/conversations/" in alert.text
    clinic.telegram.press(ADMIN, alert, 0)
    last(clinic, ADMIN, "你已接手")


def test_voice_and_pictures_are_shown_to_the_human_who_holds_the_conversation(
    open_clinic: Callable[..., Clinic],
) -> None:
    clinic = open_clinic(MINDGLM_ADMINS=f"telegram:{ADMIN}").open()
    clinic.telegram.write(PERSON, "我最近一直想自杀")
    clinic.telegram.press(ADMIN, last(clinic, ADMIN, "风险等级 2"), 0)
    last(clinic, PERSON, "由真人咨询师和你说话")
    chat: dict[str, Any] = {"id": PERSON, "type": "private", "first_name": "人"}
    file = {"file_id": "a", "file_unique_id": "b"}
    shown = [clinic.telegram.message(PERSON, chat, photo=[file], media_group_id="13") for _ in range(2)]
    shown.append(clinic.telegram.message(PERSON, chat, voice=file))
    wait_until(lambda: sorted(clinic.telegram.copies[ADMIN]) == [(PERSON, one) for one in shown], 20)
    last(clinic, ADMIN, "原样转给你")
    last(clinic, PERSON, "TA 能看到")
    assert sum("TA 能看到" in text for text in clinic.telegram.texts(PERSON)) == 1
    clinic.telegram.fault("copyMessage", 400)  # deleted in the meantime, or protected
    clinic.telegram.message(PERSON, chat, photo=[file])
    last(clinic, ADMIN, "平台不让取回")


def test_a_reset_from_the_chat_cancels_the_reply_that_is_being_generated(open_clinic: Callable[..., Clinic]) -> None:
    clinic = open_clinic(MINDGLM_ADMINS=f"telegram:{ADMIN}", MINDGLM_SCRIPTED_DELAY_SECONDS="30").open()
    clinic.telegram.write(PERSON, "我睡不着")
    wait_until(lambda: clinic.turns() == ["generating"], 20)
    clinic.telegram.write(ADMIN, "/admin sessions")
    (line,) = [line for line in last(clinic, ADMIN, "等待回复").text.splitlines() if "等级 0" in line]
    clinic.telegram.write(ADMIN, f"/admin reset {line.split()[0]}")
    last(clinic, ADMIN, "已结束")
    wait_until(lambda: clinic.turns() == ["discarded"], 5)
    wait_until(lambda: "generation_cancelled" in clinic.logs(), 10)
    clinic.telegram.write(PERSON, "/admin status")
    last(clinic, PERSON, "这个指令我不认识")


def test_an_admin_who_blocked_the_bot_is_replaced_by_the_next_and_reported_until_it_is_mended(
    open_clinic: Callable[..., Clinic],
) -> None:
    other = 9002
    clinic = open_clinic(MINDGLM_ADMINS=f"telegram:{ADMIN},telegram:{other}").open()
    clinic.telegram.blocked.add(ADMIN)
    clinic.telegram.write(PERSON, "我最近一直想自杀")
    passed_on = last(clinic, other, f"telegram:{ADMIN}")
    assert "风险等级 2" in passed_on.text
    wait_until(lambda: f"alarms do not reach the admin telegram:{ADMIN} (forbidden)" in clinic.health()["troubles"], 20)
    clinic.telegram.blocked.clear()
    clinic.telegram.write(ADMIN, "/admin help")
    wait_until(lambda: clinic.health()["troubles"] == [], 20)
