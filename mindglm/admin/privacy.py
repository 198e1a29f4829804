"""Commands for people's rights and for the life of texts and keys: export, delete, complaints, purge …"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from uuid import UUID

import typer

from mindglm import language
from mindglm.admin.context import AdminContext, AsJson, Reason, Yes, a_reason, confirm

if TYPE_CHECKING:
    from dialogue.telemetry.heartbeat import Identity
    from dialogue.upkeep.key_rotation import RotatedBatch

_BATCH = 200
_FORGET_SECONDS = 10.0

Person = Annotated[str, typer.Argument(help="channel:user id, or the beginning of a conversation's or person's id.")]
ComplaintId = Annotated[str, typer.Argument(help="A complaint's whole id, as `complaints` prints it.")]


def register(app: typer.Typer) -> None:
    """Put these commands on the counter."""
    app.command(epilog="Example: mindglm admin export telegram:123456789 --to . --why 'asked by mail'")(export)
    app.command(epilog="Example: mindglm admin delete telegram:123456789 --why 'asked by mail'")(delete)
    app.command(epilog="Example: mindglm admin erasures > erased.json; mindglm admin erasures --again erased.json")(
        erasures
    )
    app.command(epilog="Example: mindglm admin complaints")(complaints)
    app.command(epilog="Example: mindglm admin complaint 019aa5c3-7d10-7c55-8c4e-0a1b2c3d4e5f --settle")(complaint)
    app.command(epilog="Example: mindglm admin contact 019aa5c3 --why 'tier 3, does not answer'")(contact)
    app.command(epilog="Example: mindglm admin unread --id 019aa5c3-7d10-7c55-8c4e-0a1b2c3d4e5f --why alert")(unread)
    app.command(epilog="Example: mindglm admin purge")(purge)
    app.command(epilog="Example: MINDGLM_SECRET_KEY=NEW,OLD mindglm admin rotate-keys")(rotate_keys)


def export(
    person: Person,
    *,
    to: Annotated[Path, typer.Option(help="Directory for the files, readable by you alone.")] = Path(),
    why: Reason,
    json: AsJson = False,
) -> None:
    """Write everything stored about a person to a text, a JSON file and an archive of pictures and voice; audited."""
    from dialogue.admin import audit, find
    from dialogue.admin.audit import Action, Whom
    from dialogue.core import media
    from dialogue.rights import export as exports
    from dialogue.rights import personal_data
    from dialogue.storage.clock import utc_now

    now = utc_now()
    with AdminContext.open() as counter:
        with counter.database.begin() as session:
            person_id = find.person(session, person)
            name, whom = counter.actor.name, Whom(person_id)
            audit.note(session, actor=name, action=Action.EXPORT, whom=whom, reason=why, now=now)
            data = personal_data.gather(session, counter.office.keys, person_id)
            kept = {one.id: media.content(session, counter.office.keys, one.id) for one in exports.media_of(data)}
        written = exports.files(data, counter.office.texts, contents=kept, now=now)
        paths = [_write(to / file.name, file.content) for file in written]
    _done({"person_id": person_id, "files": paths}, f"Written: {', '.join(map(str, paths))}", json=json)


def delete(
    person: Person,
    *,
    why: Reason,
    tell: Annotated[bool, typer.Option(help="Send a farewell to the chat they last wrote in.")] = True,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Erase a person: their key goes at once, their rows within days. This cannot be undone."""
    from dialogue.admin import find
    from dialogue.rights import erasure
    from dialogue.states import ClosedBy
    from dialogue.storage.clock import utc_now

    confirm(f"Erase {person}? Their data cannot be restored.", yes=yes)
    with AdminContext.open() as counter:
        with counter.database.begin() as session:
            person_id = find.person(session, person)
            erasure.erase(
                session,
                person_id,
                by=ClosedBy.ADMIN,
                actor=counter.actor.name,
                reason=why,
                farewell_to=erasure.last_place(session, person_id) if tell else None,
                now=utc_now(),
            )
        days = _copies_days(counter)
    message = "Erased: nobody can read their data here any more."
    if days:
        message = (
            "Erased: nobody can read their data here any more. "
            f"Encrypted copies in logs and backups are gone in {days} days at the latest."
        )
    _done({"person_id": person_id, "copies_days": days}, message, json=json)


def erasures(
    *,
    again: Annotated[
        Path | None, typer.Option(help="After a restore: erase again the people in this file, an earlier output.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="It is always JSON; for scripts that say so everywhere.")] = True,
) -> None:
    """The ids of erased people, as JSON: keep it with your backups, which may still contain them."""
    from dialogue.rights import erasure
    from dialogue.storage.clock import utc_now
    from mindglm.admin import printing

    del json
    with AdminContext.open() as counter:
        if again is None:
            with counter.database.read() as session:
                printing.as_json({"erased": erasure.erased_ids(session)})
            return
        person_ids = _ids_in(again)
        with counter.database.begin() as session:
            count = erasure.erase_again(session, person_ids, actor=counter.actor.name, now=utc_now())
        _copies_days(counter)
    printing.as_json({"erased_again_count": count})


def complaints(*, json: AsJson = False) -> None:
    """Open complaints, oldest first, without their text."""
    from dialogue.rights import complaints as kept
    from mindglm.admin import printing

    with AdminContext.open() as counter, counter.database.read() as session:
        waiting = kept.open_ones(session)
    if json:
        printing.as_json({"complaints": waiting})
        return
    rows = [(one.id, one.made_at, one.person_id, one.conversation_id) for one in waiting]
    printing.table("Complaints", ("id", "made", "person", "conversation"), rows)


def complaint(
    complaint_id: ComplaintId,
    *,
    settle: Annotated[
        bool, typer.Option("--settle", help="Mark it as dealt with; its text is deleted after the retention period.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Read a complaint, or settle it; both are audited."""
    from dialogue.rights import complaints as kept
    from dialogue.storage.clock import utc_now

    which = _uuid(complaint_id)
    with AdminContext.open() as counter, counter.database.begin() as session:
        if settle:
            is_settled = kept.settle(session, which, by=counter.actor.name, now=utc_now())
            words = None
        else:
            words = kept.read(session, counter.office.keys, which, by=counter.actor.name, now=utc_now())
            is_settled = False
    if settle:
        message = "Settled." if is_settled else "There is no such complaint that is open."
        _done({"id": which, "settled": is_settled}, message, json=json)
        raise typer.Exit(0 if is_settled else 1)
    if words is None:
        _fail("There is no such complaint.")
    _show({"id": which, "text": words.text}, words.text, otherwise="(its words are deleted)", json=json)


def contact(
    person: Person,
    *,
    why: Reason,
    told: Annotated[bool, typer.Option("--told", help="You called them: write that into the audit.")] = False,
    json: AsJson = False,
) -> None:
    """Whom a person wants to be called when they are in danger; looking it up is audited with its reason.

    Nobody is called by the program: that is for staff to decide, and --told keeps a record of it.
    """
    from dialogue.admin import find
    from dialogue.rights import emergency_contacts as contacts
    from dialogue.storage.clock import utc_now

    with AdminContext.open() as counter, counter.database.begin() as session:
        person_id = find.person(session, person)
        text = contacts.look_up(
            session, counter.office.keys, person_id, by=counter.actor.name, reason=why, now=utc_now()
        )
        if told and text is not None:
            contacts.note_told(session, person_id, by=counter.actor.name, reason=why, now=utc_now())
    _show({"person_id": person_id, "contact": text}, text, otherwise="They named nobody.", json=json)


def unread(
    *,
    update_id: Annotated[str | None, typer.Option("--id", help="Show this one; the whole id, as it is listed.")] = None,
    why: Annotated[
        str | None,
        typer.Option("--why", callback=a_reason, help="The reason, kept in the audit; needed to read one."),
    ] = None,
    json: AsJson = False,
) -> None:
    """What platforms sent and the program could not read: a list, or one of them as it came; reading is audited."""
    from dialogue.admin import audit
    from dialogue.admin.audit import Action, Whom
    from dialogue.core import unparsed
    from dialogue.storage.clock import utc_now
    from mindglm.admin import tables

    with AdminContext.open() as counter, counter.database.begin() as session:
        if update_id is None:
            found = unparsed.kept(session, limit=_BATCH)
            if json:
                _done({"updates": [asdict(one) for one in found]}, "", json=True)
            else:
                tables.unparsed(found)
            return
        if why is None:
            raise typer.BadParameter("reading one needs a reason: --why")
        now = utc_now()
        shown = unparsed.read(session, counter.office.keys, _uuid(update_id), now=now)
        if shown is None:
            _fail("nothing is kept under that id")
        person_id, content = shown
        whom = Whom(person_id=person_id)
        audit.note(session, actor=counter.actor.name, action=Action.READ, whom=whom, reason=why, now=now)
    _show({"person_id": person_id, "content": content}, content, otherwise="", json=json)


def purge(*, json: AsJson = False) -> None:
    """Delete now what is past MINDGLM_RETENTION_DAYS, and rows of erased people; bots also do it themselves."""
    from dialogue.upkeep.housekeeper import Housekeeper

    with AdminContext.open() as counter:
        keeper = Housekeeper(database=counter.database, retention_days=counter.settings.retention_days)
        purged = keeper.keep()
        left = keeper.overdue()
    result = {"texts": purged.texts, "conversations": purged.conversations, "left": left.conversations}
    _done(result, f"{purged.texts} texts of {purged.conversations} conversations deleted.", json=json)


def rotate_keys(*, json: AsJson = False) -> None:
    """Rewrap every person's data key with the first master key, while everything keeps running.

    Give MINDGLM_SECRET_KEY=NEW,OLD to every process first, and restart them: it refuses while one of them does not
    hold the new key. It can be interrupted safely.
    """
    from dialogue.admin import audit
    from dialogue.admin.audit import Action, Whom
    from dialogue.storage.clock import utc_now
    from dialogue.upkeep import key_rotation as rotation
    from dialogue.upkeep import staff_keys

    with AdminContext.open() as counter:
        total, unprepared = _rotate_all(counter)
        with counter.database.begin() as session:
            if not unprepared:
                staff_keys.rewrap_all(session, counter.office.keys)
            wrapped_by, wrapping = rotation.wrapped_by(session), rotation.wrapping(session, now=utc_now())
            wrapped_by += staff_keys.wrapped_by(session)
            if total.rewrapped:
                name, reason = counter.actor.name, f"rewrapped={total.rewrapped}"
                audit.note(session, actor=name, action=Action.ROTATE_KEYS, whom=Whom(), reason=reason, now=utc_now())
        current_id = counter.office.keys.current_id
    is_done = not unprepared and set(wrapped_by) <= {current_id}
    may_drop = is_done and wrapping <= {current_id}
    result = {
        "current_key": current_id,
        "rewrapped": total.rewrapped,
        "unreadable": total.unreadable,
        "wrapped_by": dict(wrapped_by),
        "old_keys_may_be_dropped": may_drop,
        "without_current_key": [_named(one) for one in unprepared],
    }
    if unprepared:
        message = (
            f"Refused: these processes do not hold master key {current_id}, and would lose sight of everybody: "
            f"{', '.join(map(_named, unprepared))}. Give them MINDGLM_SECRET_KEY=NEW,OLD, restart them, and try again."
        )
    elif is_done and not may_drop:
        message = (
            f"{total.rewrapped} keys rewrapped, but a running process still wraps with an older master key: restart "
            "every process with MINDGLM_SECRET_KEY=NEW,OLD in this order, and run this again before one is removed."
        )
    elif is_done:
        message = (
            f"{total.rewrapped} keys rewrapped; all are under master key {current_id}. Make a backup now: the keys "
            "beside older backups are still under the old master key. Then the old one may be removed."
        )
    else:
        message = f"Not done: {dict(wrapped_by)}; {total.unreadable} keys cannot be opened by the master keys given."
    _done(result, message, json=json)
    raise typer.Exit(0 if is_done else 1)


def _copies_days(counter: AdminContext) -> int:
    """Forget in the files what was erased; how long copies may still hold it (days)."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

    from dialogue.errors import DatabaseUnavailable
    from dialogue.process import home
    from dialogue.upkeep.forgetting import Forgetting

    forgetting = Forgetting(database=counter.database, backups=home.backups(counter.settings))
    days = home.copies_days(counter.settings)
    patiently = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        stop=stop_after_delay(_FORGET_SECONDS),
        wait=wait_fixed(0.2),
        reraise=True,
    )
    try:
        return days if patiently(forgetting.forget) else max(1, days)
    except DatabaseUnavailable:  # the bot's housekeeper goes on trying
        return max(1, days)


def _named(process: "Identity") -> str:
    return f"{process.kind} on {process.host} (pid {process.pid})"


def _rotate_all(counter: AdminContext) -> "tuple[RotatedBatch, list[Identity]]":
    """Also the processes that do not hold the current key: because of them it ends early, or does not begin."""
    from dialogue.storage.clock import utc_now
    from dialogue.upkeep import key_rotation as rotation
    from dialogue.upkeep.key_rotation import RotatedBatch

    rewrapped = unreadable = 0
    unprepared: list[Identity] = []
    after: UUID | None = rotation.BEGINNING
    while after is not None:
        with counter.database.begin() as session:
            if unprepared := rotation.unprepared(session, counter.office.keys, now=utc_now()):
                break
            batch = rotation.rotate(session, counter.office.keys, after=after, limit=_BATCH)
        rewrapped, unreadable, after = rewrapped + batch.rewrapped, unreadable + batch.unreadable, batch.last_id
    return RotatedBatch(rewrapped=rewrapped, unreadable=unreadable, last_id=None), unprepared


def _write(path: Path, content: bytes) -> Path:
    """A new file, readable by its owner alone."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(content)
    except OSError as error:
        _fail(f"{path} cannot be written: {error.strerror}")
    return path


def _ids_in(file: Path) -> list[UUID]:
    import json

    try:
        return [UUID(text) for text in json.loads(file.read_text("utf-8"))["erased"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise typer.BadParameter(f"{file} is no output of `mindglm admin erasures`") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("the whole id, as the list prints it") from None


def _fail(message: str) -> NoReturn:
    language.echo(f"mindglm admin: {message}", to_stderr=True)
    raise typer.Exit(1)


def _show(result: Mapping[str, object], words: str | None, *, otherwise: str, json: bool) -> None:
    """What a person wrote, as they wrote it."""
    from mindglm.admin import printing

    if json:
        printing.as_json(result)
    elif words:
        printing.verbatim(words)
    else:
        printing.line(otherwise)


def _done(result: Mapping[str, object], message: str, *, json: bool) -> None:
    from mindglm.admin import printing

    if json:
        printing.as_json(result)
    else:
        printing.line(message)
