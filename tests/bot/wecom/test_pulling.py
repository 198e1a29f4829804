"""What comes is pulled: whatever is lost, repeated, empty or without an id."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from bot.channels.wecom import intake, pull_round
from bot.channels.wecom.early_page import PullPosition
from bot.services import BotServices
from dialogue.core import cursors, unparsed
from dialogue.core.cursors import Pull
from dialogue.core.unparsed import KeptUpdate
from dialogue.storage.clock import utc_now
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import Nastiness, WeCom
from tests.bot.wecom.wire import ACCOUNT
from tests.patience import until


async def test_what_was_written_while_nobody_listened_is_answered_at_the_start(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    wecom.say(PERSON, "我睡不着")
    await clinic.opens(wecom_pull_seconds=300)
    await until(lambda: clinic.told() == ["收到：我睡不着"])


async def test_without_any_notice_it_is_found_all_the_same(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    await clinic.opens()
    wecom.callback_url = ""
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])


async def test_a_callback_that_is_never_called_is_said(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    runtime = await clinic.opens()
    wecom.callback_url = ""
    for count in (1, 2, 3):
        wecom.say(PERSON, f"第{count}句")
        await until(lambda count=count: clinic.stored() == count)  # type: ignore[misc]  # a default binds it
    await until(lambda: any("事件接收服务器" in fault for fault in runtime.faults()))


async def test_a_pull_token_that_is_refused_is_done_without(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    await clinic.opens(wecom_pull_seconds=300)
    wecom.fault("kf/sync_msg", 95007)
    wecom.say(PERSON, "我睡不着")
    wecom.notify(is_sure=True)
    await until(lambda: clinic.told() == ["收到：我睡不着"])


async def test_a_lost_cursor_costs_repeats_and_no_second_answer(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    pulls = wecom.calls["kf/sync_msg"]
    with services.database.begin() as session:
        session.connection().exec_driver_sql("UPDATE channel_cursors SET cursor = NULL")
    await until(lambda: wecom.calls["kf/sync_msg"] > pulls + 3)
    wecom.say(PERSON, "还在吗")
    await until(lambda: clinic.told() == ["收到：我睡不着", "收到：还在吗"])
    assert clinic.stored() == 2


async def test_words_from_before_the_first_start_are_kept_and_answered_by_one_sentence(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    wecom.plus_seconds = -3600
    wecom.say(PERSON, "昨天很难过")
    wecom.say(PERSON, "你在吗")
    wecom.plus_seconds = 0
    await clinic.opens()
    await until(lambda: clinic.told() == [services.texts.say("came_late")])
    wecom.say(PERSON, "现在好一点")
    await until(lambda: clinic.told()[1:] == ["收到：现在好一点"])
    assert clinic.stored() == 3


async def test_only_the_accounts_that_the_settings_name_are_pulled(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    wecom.accounts["wkOTHER"] = "别的账号"
    await clinic.opens(wecom_accounts=f"{ACCOUNT}, wkGONE")
    wecom.say(PERSON, "我睡不着", account="wkOTHER")
    wecom.say(PERSON, "在吗")
    await until(lambda: clinic.told() == ["收到：在吗"])
    assert set(wecom.pulled_at) == {ACCOUNT}


async def test_one_person_has_a_chat_at_each_account_and_is_answered_there(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    wecom.accounts["wkOTHER"] = "别的账号"
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    wecom.say(PERSON, "在吗", account="wkOTHER")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    await until(lambda: wecom.texts(PERSON, account="wkOTHER") == ["收到：在吗"])


async def test_tokens_that_end_early_are_renewed_once_for_all(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    wecom.nastiness.token_calls = 3
    await clinic.opens()
    for count in (1, 2, 3):
        wecom.say(PERSON, f"第{count}句")
        await until(lambda count=count: len(clinic.told()) == count)  # type: ignore[misc]  # a default binds it
    assert wecom.tokens_made > 2
    assert wecom.calls["gettoken"] == wecom.tokens_made


async def test_a_recalled_message_that_nobody_answered_yet_is_erased(clinic: Clinic, wecom: WeCom) -> None:
    model = Model(clinic.services)
    await clinic.opens()
    message_id = wecom.say(PERSON, "说错了")
    await until(lambda: clinic.stored() == 1)
    wecom.recall(PERSON, message_id)
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.stored() == 2)
    await model.finish(await model.begin())
    await until(lambda: clinic.told() == ["收到：我睡不着"])


async def test_a_recalled_message_alone_is_not_answered_at_all(clinic: Clinic, wecom: WeCom) -> None:
    model = Model(clinic.services)
    await clinic.opens()
    message_id = wecom.say(PERSON, "说错了")
    wecom.recall(PERSON, message_id)
    wecom.say("wmPERSON02", "在吗")
    await until(lambda: clinic.stored() == 2)
    await model.finish(await model.begin())
    await until(lambda: clinic.told("wmPERSON02") == ["收到：在吗"])
    assert clinic.told() == []


async def test_the_page_after_our_own_last_one_is_asked_for_once_for_a_notice(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)

    for count in (1, 2, 3):
        await until(lambda: not is_due(services))
        pulls = wecom.calls["kf/sync_msg"]
        wecom.say(PERSON, f"第{count}句")
        await until(lambda count=count: len(clinic.told()) == count)  # type: ignore[misc]  # a default binds it
        assert wecom.calls["kf/sync_msg"] == pulls + 1


async def test_a_notice_and_its_words_are_one_transaction(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    """And so is the lease: the answer waits for one commit, and the callback's 200 still means that nothing is lost."""
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)
    await until(lambda: not is_due(services))
    commits: list[str] = []

    def note_commit(connection: Connection) -> None:
        known = connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one()
        noticed = connection.exec_driver_sql("SELECT sum(notice_count) FROM channel_cursors").scalar_one()
        commits.append(f"{known} words, {noticed} notices")

    event.listen(services.database.engine, "commit", note_commit)
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    event.remove(services.database.engine, "commit", note_commit)
    await until(lambda: wecom.notice_statuses == [200])
    assert set(commits) <= {"0 words, 0 notices", "1 words, 1 notices"}


async def test_words_that_come_while_the_round_rests_are_pulled_from_where_it_is(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_round, "_REST_SECONDS", 30.0)
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)
    await until(lambda: bool(wecom.calls["kf/sync_msg"]))
    for count in (1, 2, 3):
        pulls = wecom.calls["kf/sync_msg"]
        wecom.say(PERSON, f"第{count}句")
        await until(lambda count=count: len(clinic.told()) == count)  # type: ignore[misc]  # a default binds it
        assert wecom.calls["kf/sync_msg"] == pulls + 1
    with services.database.read() as session:
        assert cursors.saved_cursor(session, "wecom", ACCOUNT) != "c-3"
    assert clinic.stored() == 3


async def test_however_much_comes_the_cursor_is_saved_now_and_then(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_round, "_REST_SECONDS", 30.0)
    monkeypatch.setattr(pull_round, "_MAX_UNSAVED_SECONDS", 0.0)
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)
    wecom.say(PERSON, "我睡不着")

    def saved() -> str | None:
        with services.database.read() as session:
            return cursors.saved_cursor(session, "wecom", ACCOUNT)

    await until(lambda: saved() == "c-1")


async def test_a_slow_page_does_not_keep_its_notice_waiting(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)
    await until(lambda: not is_due(services))
    wecom.delay_seconds = 0.5
    wecom.say(PERSON, "我睡不着")
    await until(lambda: wecom.notice_statuses == [200])
    assert clinic.stored() == 0
    await until(lambda: clinic.told() == ["收到：我睡不着"])


async def test_words_that_cannot_be_stored_at_once_do_not_keep_their_notice_waiting(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)
    await until(lambda: not is_due(services))
    may_go_on = asyncio.Event()
    takes_words = intake.Intake.take_words

    async def waits(*words: Any, **more: Any) -> bool:
        await may_go_on.wait()
        return await takes_words(*words, **more)

    monkeypatch.setattr(intake.Intake, "take_words", waits)
    wecom.say(PERSON, "我睡不着")
    await until(lambda: wecom.notice_statuses == [200])
    assert clinic.stored() == 0
    may_go_on.set()
    await until(lambda: clinic.told() == ["收到：我睡不着"])


def is_due(services: BotServices) -> bool:
    """Whether somebody has to pull."""
    with services.database.read() as session:
        return bool(cursors.due(session, "wecom", [ACCOUNT], every=timedelta(minutes=5), now=utc_now()))


def test_where_another_process_pulled_an_early_page_is_not_taken() -> None:
    """Or was told of something that may be younger than the page."""

    def pull(cursor: str | None, notice_count: int) -> Pull:
        return Pull(account=ACCOUNT, cursor=cursor, token="", notice_count=notice_count, first_seen_at=utc_now())

    position = PullPosition.of(pull("c-4", 7))
    position.cursor = "c-6"
    assert position.is_left_at(pull("c-4", 8))
    assert not position.is_left_at(pull("c-6", 8))
    assert not position.is_left_at(pull(None, 8))
    assert position.is_next(pull("c-4", 8))
    assert not position.is_next(pull("c-4", 9))


async def test_words_of_a_page_that_another_process_has_the_right_to_are_left_to_it(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    wecom.nastiness = Nastiness.calm()
    await clinic.opens(wecom_pull_seconds=300)
    await until(lambda: not is_due(services))
    theirs, now = uuid4(), utc_now()
    with services.database.begin() as session:
        assert cursors.lease(session, "wecom", ACCOUNT, owner=theirs, seconds=60, now=now) is not None
    wecom.say(PERSON, "我睡不着")
    await until(lambda: wecom.notice_statuses == [200])
    assert clinic.stored() == 0
    with services.database.begin() as session:
        cursors.give_up(session, "wecom", ACCOUNT, owner=theirs)
    await until(lambda: clinic.told() == ["收到：我睡不着"])


def test_one_process_pulls_at_a_time_and_a_dead_one_holds_nobody_up_for_long(services: BotServices) -> None:
    ours, theirs, now = uuid4(), uuid4(), utc_now()
    with services.database.begin() as session:
        cursors.notice(session, "wecom", ACCOUNT, token="T", valid_for=timedelta(minutes=10), now=now)
        pull = cursors.lease(session, "wecom", ACCOUNT, owner=ours, seconds=6, now=now)
        assert pull is not None
        assert (pull.cursor, pull.token) == (None, "T")
        assert cursors.lease(session, "wecom", ACCOUNT, owner=theirs, seconds=6, now=now) is None
        later = now + timedelta(seconds=7)
        assert cursors.lease(session, "wecom", ACCOUNT, owner=theirs, seconds=6, now=later) is not None
        assert not cursors.advance(session, "wecom", ACCOUNT, owner=ours, cursor="c-9")
        assert cursors.advance(session, "wecom", ACCOUNT, owner=theirs, cursor="c-1")
        assert cursors.saved_cursor(session, "wecom", ACCOUNT) == "c-1"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_notice_brings_the_right_to_pull_unless_another_process_has_it(
    services: BotServices, *, is_known: bool
) -> None:
    ours, theirs, now = uuid4(), uuid4(), utc_now()

    def noticed(session: Session, owner: UUID, *, at: datetime = now) -> Pull | None:
        lasts = timedelta(minutes=10)
        return cursors.notice_and_lease(
            session, "wecom", ACCOUNT, token="T", valid_for=lasts, owner=owner, seconds=6, now=at
        )

    with services.database.begin() as session:
        if is_known:
            cursors.know(session, "wecom", ACCOUNT, now=now)
        pull = noticed(session, ours)
        assert pull is not None
        assert (pull.notice_count, pull.token) == (1, "T")
        assert noticed(session, theirs) is None
        assert cursors.advance(session, "wecom", ACCOUNT, owner=ours, cursor="c-1")
        again = noticed(session, ours)
        assert again is not None
        assert again.notice_count == 3
        assert noticed(session, theirs, at=now + timedelta(seconds=7)) is not None
        assert not cursors.advance(session, "wecom", ACCOUNT, owner=ours, cursor="c-9")


def test_a_notice_during_a_pull_is_seen_at_its_end(services: BotServices) -> None:
    ours, now = uuid4(), utc_now()
    with services.database.begin() as session:
        cursors.notice(session, "wecom", ACCOUNT, token="T", valid_for=timedelta(minutes=10), now=now)
        pull = cursors.lease(session, "wecom", ACCOUNT, owner=ours, seconds=6, now=now)
        assert pull is not None
        cursors.notice(session, "wecom", ACCOUNT, token="U", valid_for=timedelta(minutes=10), now=now)
        assert cursors.finish(session, "wecom", ACCOUNT, notice_count=pull.notice_count, owner=ours, now=now)
        assert cursors.due(session, "wecom", [ACCOUNT], every=timedelta(minutes=5), now=now) == [ACCOUNT]


async def test_what_breaks_our_reading_is_kept_for_staff(
    clinic: Clinic, wecom: WeCom, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError

    await clinic.opens()
    monkeypatch.setattr(intake, "read", breaks)
    wecom.say(PERSON, "我今晚就跳楼")

    def kept() -> list[KeptUpdate]:
        with services.database.read() as session:
            return unparsed.kept(session, limit=9)

    await until(kept)
    (one,) = kept()
    assert (one.user_id, one.error) == (PERSON, "KeyError")
    with services.database.begin() as session:
        assert "我今晚就跳楼" in (unparsed.read(session, services.keys, one.id, now=utc_now()) or ("", ""))[1]
