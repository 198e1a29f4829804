"""`mindglm admin`: what people may ask for, and what becomes of texts and keys."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from dialogue.admin import audit
from dialogue.core import people
from dialogue.errors import NoSuchPerson, WrongSecretKey
from dialogue.rights import complaints, erasure
from dialogue.rights import emergency_contacts as contacts
from dialogue.states import DeliveryKind
from dialogue.storage.vault import new_secret
from dialogue.tables import DELIVERIES, PEOPLE
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
