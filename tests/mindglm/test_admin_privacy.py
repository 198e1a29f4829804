"""`mindglm admin`: what people may ask for, and what becomes of texts and keys."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from dialogue.admin import audit
from dialogue.core import people, unparsed
from dialogue.core.unparsed import Unparsed
from dialogue.errors import NoSuchPerson, WrongSecretKey
from dialogue.rights import complaints, erasure
from dialogue.rights import emergency_contacts as contacts
from dialogue.states import DeliveryKind
from dialogue.storage.clock import utc_now
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import DELIVERIES, PEOPLE
from dialogue.telemetry import heartbeat
from dialogue.telemetry.heartbeat import Identity
from tests.builders import CHANNEL, Rooms
from tests.mindglm.counter import printed, run

WHO = f"{CHANNEL}:小王"


def actions(rooms: Rooms) -> list[str]:
    with rooms.database.read() as session:
        return [entry.action for entry in reversed(audit.entries(session))]


def test_a_persons_data_is_written_for_them_alone(rooms: Rooms, tmp_path: Path) -> None:
    rooms.answered("我睡不着", "我在听")
    assert run("export", WHO).exit_code == 2  # no reason
    result = printed("export", WHO, "--to", str(tmp_path), "--why", "来信")
    text, document = map(Path, result["files"])
    assert "支持者（AI生成）：我在听" in text.read_text()
    assert json.loads(document.read_text())["conversations"][0]["lines"][0]["text"] == "我睡不着"
    assert {path.stat().st_mode & 0o777 for path in (text, document)} == {0o600}
    assert "我睡不着" not in run("export", WHO, "--to", str(tmp_path / "nowhere"), "--why", "来信").output
    assert actions(rooms)[0] == "export"


def test_somebody_is_erased_once_that_is_confirmed(rooms: Rooms) -> None:
    rooms.answered("我睡不着", "我在听")
    assert run("delete", WHO, "--why", "来信").exit_code == 2
    printed("delete", WHO, "--why", "来信", "--yes")
    with rooms.database.read() as session:
        assert session.scalars(select(PEOPLE.c.data_key)).all() == [None]
        owed = select(DELIVERIES.c.chat_id).where(DELIVERIES.c.kind == DeliveryKind.FAREWELL)
        assert session.scalars(owed).all() == ["小王"]
    assert actions(rooms) == [erasure.ERASED]
    assert isinstance(run("delete", WHO, "--why", "来信", "--yes").exception, NoSuchPerson)


def test_whom_a_restored_backup_brought_back_is_erased_again(rooms: Rooms, tmp_path: Path) -> None:
    rooms.heard(who="小王")
    rooms.heard(who="小李")
    with rooms.database.read() as session:
        before = session.execute(select(PEOPLE.c.id, PEOPLE.c.data_key).where(PEOPLE.c.user_id == "小王")).one()
    run("delete", WHO, "--why", "来信", "--yes", "--no-tell")
    kept = tmp_path / "erased.json"
    kept.write_text(run("erasures").stdout)
    assert json.loads(kept.read_text()) == {"erased": [str(before.id)]}
    with rooms.database.begin() as session:  # as a restored backup has it
        restored = PEOPLE.update().where(PEOPLE.c.id == before.id)
        session.execute(restored.values(user_id="小王", data_key=before.data_key, erased_at=None))
    assert json.loads(run("erasures", "--again", str(kept)).stdout) == {"erased_again_count": 1}
    assert json.loads(run("erasures", "--again", str(kept)).stdout) == {"erased_again_count": 0}
    with rooms.database.read() as session:
        assert session.scalars(select(PEOPLE.c.user_id).where(PEOPLE.c.data_key.is_not(None))).all() == ["小李"]
    assert run("erasures", "--again", str(tmp_path)).exit_code == 2


def test_complaints_are_listed_read_and_settled(rooms: Rooms) -> None:
    rooms.heard()
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id="小王", now=rooms.clock())
        complaint_id = complaints.make(session, person, "回复没有帮助", conversation_id=None, now=rooms.clock())
    assert [one["id"] for one in printed("complaints")["complaints"]] == [str(complaint_id)]
    assert "回复没有帮助" not in run("complaints").output
    assert printed("complaint", str(complaint_id))["text"] == "回复没有帮助"
    assert printed("complaint", str(complaint_id), "--settle")["settled"] is True
    assert run("complaint", str(complaint_id), "--settle").exit_code == 1
    assert run("complaint", str(uuid4())).exit_code == 1
    assert run("complaint", "no id").exit_code == 2
    assert printed("complaints")["complaints"] == []
    assert actions(rooms) == [complaints.MADE, complaints.READ, complaints.SETTLED]


def test_whom_to_call_is_shown_with_a_reason(rooms: Rooms) -> None:
    rooms.heard()
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id="小王", now=rooms.clock())
        contacts.give(session, person, "妈妈 138", now=rooms.clock())
    assert run("contact", WHO).exit_code == 2
    assert printed("contact", WHO, "--why", "危险")["contact"] == "妈妈 138"
    assert actions(rooms) == [contacts.READ]


def test_what_is_past_its_days_is_purged_at_once(rooms: Rooms) -> None:
    rooms.clock.now -= timedelta(days=365)
    heard = rooms.answered("我睡不着", "我在听")
    rooms.reset(heard.conversation_id)
    output = run("purge", "--json").stdout  # where logs are not configured, a line of log comes first
    assert json.loads(output[output.index("{") :]) == {"texts": 3, "conversations": 1, "left": 0}
    assert printed("purge") == {"texts": 0, "conversations": 0, "left": 0}


def beat(rooms: Rooms, key_ids: tuple[str, ...] | None, *, pid: int) -> Identity:
    me = Identity(kind="telegram", name=str(pid), pid=pid, key_ids=key_ids)
    with rooms.database.begin() as session:
        heartbeat.beat(session, me, {}, now=utc_now())
    return me


def test_master_keys_are_not_changed_while_a_process_could_not_follow(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new = (tmp_path / "home" / "secret.key").read_text().strip(), new_secret()
    old_id, new_id = MasterKeys.parse(old).current_id, MasterKeys.parse(new).current_id
    rooms.heard()
    monkeypatch.setenv("MINDGLM_SECRET_KEY", f"{new},{old}")
    for key_ids in ((old_id,), None):
        behind = beat(rooms, key_ids, pid=41)
        refused = run("rotate-keys", "--json")
        assert refused.exit_code == 1
        assert json.loads(refused.stdout)["wrapped_by"] == {old_id: 1}
        assert "(pid 41)" in json.loads(refused.stdout)["without_current_key"][0]
        with rooms.database.begin() as session:
            heartbeat.leave(session, behind)
    wraps_with_old = beat(rooms, (old_id, new_id), pid=42)
    result = printed("rotate-keys")
    assert (result["rewrapped"], result["old_keys_may_be_dropped"]) == (1, False)
    with rooms.database.begin() as session:
        heartbeat.leave(session, wraps_with_old)
    once = beat(rooms, (new_id, old_id), pid=43)
    assert printed("rotate-keys")["old_keys_may_be_dropped"] is True

    newest = new_secret()  # and once more, before the first old one was dropped everywhere
    newest_id = MasterKeys.parse(newest).current_id
    monkeypatch.setenv("MINDGLM_SECRET_KEY", f"{newest},{new},{old}")
    refused = run("rotate-keys", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["wrapped_by"]) == (1, {new_id: 1})
    with rooms.database.begin() as session:
        heartbeat.leave(session, once)
    beat(rooms, (newest_id, new_id), pid=44)
    result = printed("rotate-keys")
    assert (result["rewrapped"], result["wrapped_by"]) == (1, {newest_id: 1})
    assert result["old_keys_may_be_dropped"] is True
    assert printed("rotate-keys")["rewrapped"] == 0


def test_what_could_not_be_parsed_is_listed_and_read_with_a_reason(rooms: Rooms) -> None:
    content = '{"text": "我在这里"}'
    update = Unparsed(channel=CHANNEL, external_id="7", user_id="小王", content=content, error="KeyError")
    with rooms.database.begin() as session:
        kept_id = unparsed.keep(session, rooms.keys, update, now=rooms.clock())
        assert unparsed.keep(session, rooms.keys, update, now=rooms.clock()) is None
    (listed,) = printed("unread")["updates"]
    assert (listed["id"], listed["user_id"], listed["read_at"]) == (str(kept_id), "小王", None)
    assert "我在这里" not in run("unread").output
    assert run("unread", "--id", str(kept_id)).exit_code == 2  # no reason
    assert run("unread", "--id", str(uuid4()), "--why", "告警").exit_code == 1
    assert printed("unread", "--id", str(kept_id), "--why", "告警")["content"] == content
    assert printed("unread")["updates"][0]["read_at"] is not None
    assert actions(rooms) == ["read"]
    run("delete", WHO, "--why", "来信", "--yes", "--no-tell")
    assert printed("unread")["updates"] == []


def test_master_keys_are_changed_and_it_is_said_when_the_old_one_may_go(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = (tmp_path / "home" / "secret.key").read_text().strip()
    new = new_secret()
    for number in range(3):
        rooms.heard(who=f"人{number}")
    assert printed("rotate-keys")["rewrapped"] == 0
    monkeypatch.setenv("MINDGLM_SECRET_KEY", f"{new},{old}")
    result = printed("rotate-keys")
    assert (result["rewrapped"], result["unreadable"], result["old_keys_may_be_dropped"]) == (3, 0, True)
    assert result["wrapped_by"] == {result["current_key"]: 3}
    monkeypatch.setenv("MINDGLM_SECRET_KEY", new)
    assert printed("rotate-keys")["rewrapped"] == 0
    monkeypatch.setenv("MINDGLM_SECRET_KEY", old)
    assert isinstance(run("rotate-keys").exception, WrongSecretKey)
    assert actions(rooms) == ["rotate_keys"]
