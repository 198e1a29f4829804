"""What a newcomer gets wrong is found, named, and never costs more than its time."""

import json
import os
import re
import string
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import update

from bot.channels import registry
from bot.channels.channel import Channel
from bot.channels.findings import CheckResult, Grade, fail
from bot.channels.telegram.manifest import MANIFEST as TELEGRAM
from bot.channels.wechat.manifest import MANIFEST as WECHAT
from care import texts
from dialogue.admin import reachability
from dialogue.admin.office import Office
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.core import people
from dialogue.errors import Misconfigured, SchemaMismatch
from dialogue.process import admins
from dialogue.process.settings import DialogueSettings
from dialogue.states import Role
from dialogue.storage import schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import connect, sqlite_url
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import DELIVERIES, Staff
from dialogue.telemetry.heartbeat import Identity, beat
from mindglm.doctor import duties, host, models, platforms, rounds, stores, variables, words
from mindglm.doctor.findings import Examination, Patient
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.bot.wechat.gateway import TOKEN as WECHAT_TOKEN
from tests.bot.wechat.gateway import Gateway
from tests.services import zygote
from tests.services.migrated import migrate
from tests.services.valkey import ValkeyServer
from worker.engine import completions
from worker.engine.selection import Reason
from worker.settings import WorkerSettings

LOCALES = Path(rounds.__file__).parent / "locales"
examine_telegram = partial(platforms.examine, TELEGRAM)
examine_wechat = partial(platforms.examine, WECHAT)
FOUND = re.compile(r'\b(?:ok|note|warn|fail)\(\s*"(\w+)"')
Examine = Callable[[Patient], Iterator[CheckResult]]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Patient]:
    """A place whose settings are these."""

    def make(**variables: str) -> Patient:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Patient(bot=DialogueSettings.read(), worker=WorkerSettings.read())

    return make


def keys(examine: Examine, patient: Patient) -> dict[str, Grade]:
    return {finding.key: finding.grade for finding in examine(patient)}


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return zygote.run("mindglm", "doctor", *arguments, environment={**os.environ, **variables})


# --- The whole round -------------------------------------------------------------------------------------------------


def test_with_nothing_configured_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    done = doctor("--json", MINDGLM_LOCALE="en")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["grade"] == "warn"
    assert {one["key"] for one in told["findings"] if one["grade"] == "warn"} <= {
        "model_bundled",
        "admins_none",
        "disk_scarce",
    }
    assert not (tmp_path / "home").exists()


def test_a_setting_that_cannot_be_used_is_named_in_the_operators_language() -> None:
    done = doctor(MINDGLM_WINDOW_MAX_TURNS="many", MINDGLM_LOCALE="zh")
    assert done.returncode == 1
    assert "MINDGLM_WINDOW_MAX_TURNS" in done.stdout
    assert "many" not in done.stdout
    assert "无法工作" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_hangs_or_breaks_is_a_finding(patient: Callable[..., Patient], monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hangs(_patient: Patient) -> Iterator[CheckResult]:
        let_go.wait(30)
        yield from ()

    def breaks(_patient: Patient) -> Iterator[CheckResult]:
        yield from [CheckResult(grade=Grade.OK, key="home", values={"home": 1 // 0})]

    monkeypatch.setattr(rounds, "examinations", lambda: [Examination("key", hangs), Examination("home", breaks)])
    found = dict(rounds.examine(patient(), patience_seconds=0.2))
    let_go.set()
    assert [finding.key for finding in found["key"]] == ["took_too_long"]
    assert [finding.key for finding in found["home"]] == ["broke"]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_finding_has_words_in_both_languages() -> None:
    zh, en = (tomllib.loads((LOCALES / f"{name}.toml").read_text("utf-8")) for name in ("zh", "en"))
    assert {key: set(entry) for key, entry in zh.items()} == {key: set(entry) for key, entry in en.items()}
    for key in set(zh) - {"titles", "verdicts"}:
        for part in zh[key]:
            assert placeholders(zh[key][part]) == placeholders(en[key][part]), key
    sources = "".join(file.read_text("utf-8") for file in LOCALES.parent.glob("*.py"))
    used = set(FOUND.findall(sources)) | {"clock_database", "clock_broker"}
    used |= {f"engine_{reason}" for reason in Reason} - {"engine_set"}
    assert used == set(zh) - {"titles", "verdicts"}
    of_channels = {channel.name for channel in registry.platforms()}
    assert {examination.name for examination in rounds.examinations()} == set(zh["titles"]) | of_channels


@pytest.mark.parametrize("channel", registry.channels(), ids=lambda channel: channel.name)
def test_every_finding_and_sentence_of_a_channel_is_in_both_languages(channel: Channel[Any]) -> None:
    zh, en = channel.words("zh"), channel.words("en")
    assert zh.label
    assert en.label
    assert set(zh.texts.sentences) == set(en.texts.sentences)
    sources = "".join(file.read_text("utf-8") for file in Path(str(files(channel.package))).glob("*.py"))
    assert set(FOUND.findall(sources)) == set(zh.findings) == set(en.findings)
    for key, entry in zh.findings.items():
        assert set(entry) == set(en.findings[key]), key
        for part, text in entry.items():
            assert placeholders(text) == placeholders(en.findings[key][part]), key


# --- Settings, home, host ---------------------------------------------------------------------------------------------


def test_a_name_that_nobody_reads_is_a_typing_error(patient: Callable[..., Patient]) -> None:
    place = patient(MINDGLM_TELEGRAM_TOKN="x")
    (found,) = [finding for finding in variables.examine(place) if finding.key == "variable_unknown"]
    assert found.values == {"name": "MINDGLM_TELEGRAM_TOKN", "likely": "MINDGLM_TELEGRAM_TOKEN"}


def test_a_name_that_is_near_nothing_is_not_explained_by_the_prefix(patient: Callable[..., Patient]) -> None:
    place = patient(MINDGLM_XYZZY="x")
    (found,) = [finding for finding in variables.examine(place) if finding.key == "variable_unknown"]
    assert found.values == {"name": "MINDGLM_XYZZY", "likely": "—"}


@pytest.mark.parametrize(("locale", "said"), [("zh", "数据库还没有建表"), ("en", "The database has no schema yet")])
def test_a_refusal_inside_a_finding_is_said_in_the_operators_language(locale: str, said: str) -> None:
    error = SchemaMismatch("The database has no schema yet: run `mindglm migrate`.")
    assert said in words.load(locale).says(fail("database_schema", error=error))


def test_a_file_with_secrets_that_others_may_read_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MINDGLM_TELEGRAM_TOKEN=1:x\n")
    (tmp_path / ".env").chmod(0o644)
    assert keys(variables.examine, patient())["variable_file_open"] is Grade.WARN
    (tmp_path / ".env").chmod(0o600)
    assert "variable_file_open" not in keys(variables.examine, patient())


def test_a_home_that_others_can_look_into_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o755)  # whatever the umask
    assert keys(host.examine_home, patient())["home_open"] is Grade.WARN
    (tmp_path / "home").chmod(0o700)
    assert keys(host.examine_home, patient())["home"] is Grade.OK


def test_a_home_that_is_a_file_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert keys(host.examine_home, patient())["home_no_directory"] is Grade.FAIL


# --- Database, key, broker --------------------------------------------------------------------------------------------


def test_an_empty_database_names_the_migration_and_a_ready_one_is_well(
    patient: Callable[..., Patient], empty_postgres_database: Callable[[], str]
) -> None:
    url = empty_postgres_database()
    place = patient(MINDGLM_DATABASE_URL=url)
    assert keys(stores.examine_database, place)["database_schema"] is Grade.FAIL
    database = connect(url)
    schema.upgrade(database)
    database.close()
    assert keys(stores.examine_database, place) == {"database": Grade.OK}


def test_a_database_that_is_away_is_told(patient: Callable[..., Patient]) -> None:
    place = patient(MINDGLM_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert keys(stores.examine_database, place) == {"database_away": Grade.FAIL}


def test_a_key_that_does_not_fit_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    url, right, wrong = sqlite_url(tmp_path / "test.db"), new_secret(), new_secret()
    database = connect(url)
    migrate(url)
    with database.begin() as session:
        people.locked(session, MasterKeys.parse(right), channel="test", user_id="1", now=utc_now())
    database.close()
    assert keys(stores.examine_key, patient(MINDGLM_DATABASE_URL=url, MINDGLM_SECRET_KEY=right)) == {"key": Grade.OK}
    assert keys(stores.examine_key, patient(MINDGLM_SECRET_KEY=wrong)) == {"key_wrong": Grade.FAIL}


def test_a_key_file_that_others_may_read_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret.key").write_text(new_secret())
    (tmp_path / "home" / "secret.key").chmod(0o644)
    assert keys(stores.examine_key, patient())["key_open"] is Grade.WARN


def test_a_broker_that_throws_things_away_is_told(patient: Callable[..., Patient], valkey_server: ValkeyServer) -> None:
    place = patient(MINDGLM_BROKER_URL=valkey_server.url)
    assert keys(stores.examine_broker, place)["broker"] is Grade.OK
    with Redis.from_url(in_redis_form(valkey_server.url)) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
    assert keys(stores.examine_broker, place)["broker_evicts"] is Grade.WARN
    valkey_server.stop()
    assert keys(stores.examine_broker, place) == {"broker_away": Grade.FAIL}


def test_a_broker_that_refuses_writes_is_told(patient: Callable[..., Patient], valkey_server: ValkeyServer) -> None:
    place = patient(MINDGLM_BROKER_URL=valkey_server.url)
    with Redis.from_url(in_redis_form(valkey_server.url)) as redis:
        redis.replicaof("127.0.0.1", "1")
        assert keys(stores.examine_broker, place)["broker_replica"] is Grade.FAIL
        redis.replicaof("NO", "ONE")
        redis.config_set("maxmemory", 1)
        assert keys(stores.examine_broker, place)["broker_full"] is Grade.FAIL


def test_every_master_key_in_use_is_looked_at(patient: Callable[..., Patient], tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "test.db")
    old, new, other = new_secret(), new_secret(), new_secret()
    with closing(connect(url)) as database:
        migrate(url)
        for secret, who in ((old, "1"), (new, "2")):
            with database.begin() as session:
                people.make(session, MasterKeys.parse(secret), channel="test", user_id=who, now=utc_now())
        place = {"MINDGLM_DATABASE_URL": url}
        both = patient(**place, MINDGLM_SECRET_KEY=f"{new},{old}")
        assert keys(stores.examine_key, both) == {"key": Grade.OK, "key_old": Grade.NOTE}
        assert keys(stores.examine_key, patient(**place, MINDGLM_SECRET_KEY=new)) == {"key_missing": Grade.FAIL}
        with database.begin() as session:
            beat(session, Identity(kind="worker", name="w", key_ids=MasterKeys.parse(other).ids), {}, now=utc_now())
        assert keys(stores.examine_key, both)["key_missing_there"] is Grade.FAIL


def test_the_list_of_those_who_are_called_is_checked(patient: Callable[..., Patient], tmp_path: Path) -> None:
    url, secret = sqlite_url(tmp_path / "test.db"), new_secret()
    place = {"MINDGLM_DATABASE_URL": url, "MINDGLM_SECRET_KEY": secret}
    migrate(url)
    assert keys(stores.examine_escalation, patient(**place)) == {"escalation_none": Grade.NOTE}
    listed = patient(**place, MINDGLM_ESCALATION="console:Lin, console:wei, telegram:7")
    with closing(connect(url)) as database, database.begin() as session:
        for name, role in (("lin", Role.COUNSELLOR), ("wei", Role.VIEWER)):
            session.add(Staff(name=name, role=role, locale="zh", created_at=utc_now()))
    found = list(stores.examine_escalation(listed))
    assert [(one.key, one.values.get("name")) for one in found] == [("escalation", None), ("escalation_nobody", "wei")]
    with pytest.raises(Misconfigured, match="MINDGLM_SMTP_URL"):
        list(stores.examine_escalation(patient(**place, MINDGLM_ESCALATION="mailto:duty@example.org")))


@pytest.mark.parametrize("entries", ["telegarm:7", "lin, telegram:7", "console:lin, telegram:@lin"])
def test_a_call_that_could_never_arrive_is_refused_at_the_start(entries: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_ESCALATION", entries)
    with pytest.raises(Misconfigured, match="MINDGLM_ESCALATION: entry"):
        registry.check_accounts(DialogueSettings.read())


def test_an_admin_whom_nothing_reaches_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    url, secret = sqlite_url(tmp_path / "test.db"), new_secret()
    place = patient(MINDGLM_DATABASE_URL=url, MINDGLM_SECRET_KEY=secret, MINDGLM_ADMINS="telegram:1")
    with closing(connect(url)) as database:
        migrate(url)
        assert keys(stores.examine_admins, place) == {"admin_untried": Grade.WARN}
        office = Office(keys=MasterKeys.parse(secret), texts=texts.load("zh"), admins=admins.parse("telegram:1"))
        for state, key, grade in (("failed", "admin_unreached", Grade.FAIL), ("sent", "admin_reached", Grade.OK)):
            with database.begin() as session:
                reachability.test(session, office, now=utc_now())
                session.execute(update(DELIVERIES).values(state=state, error=None))
            assert keys(stores.examine_admins, place) == {key: grade}


def test_a_worker_that_was_killed_is_told(patient: Callable[..., Patient], tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "test.db")
    database = connect(url)
    migrate(url)
    place = patient(MINDGLM_DATABASE_URL=url)
    assert keys(stores.examine_processes, place) == {"process_no_worker": Grade.NOTE}
    me = Identity(kind="worker", name="celery", host="gpu1", pid=7, version="1")
    with database.begin() as session:
        beat(session, me, {}, now=utc_now())
    assert keys(stores.examine_processes, place) == {"process": Grade.OK}
    database.close()


# --- Platforms --------------------------------------------------------------------------------------------------------


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    server = Telegram().start()
    yield server
    server.stop()


def test_a_telegram_token_is_tried_and_never_shown(patient: Callable[..., Patient], telegram: Telegram) -> None:
    place = patient(MINDGLM_TELEGRAM_TOKEN=TOKEN, MINDGLM_TELEGRAM_API_URL=telegram.api_url)
    assert keys(examine_telegram, place) == {"telegram": Grade.OK, "adapter_never_ran": Grade.NOTE}
    for number in range(101):
        telegram.write(number + 1, "在吗")
    assert keys(examine_telegram, place)["telegram_pending"] is Grade.WARN


def test_a_bad_telegram_token_is_told_without_the_token(telegram: Telegram) -> None:
    secret = "1:this-must-not-be-shown"
    done = doctor("--json", MINDGLM_TELEGRAM_TOKEN=secret, MINDGLM_TELEGRAM_API_URL=telegram.api_url)
    assert done.returncode == 1
    assert "telegram_token_refused" in {one["key"] for one in json.loads(done.stdout)["findings"]}
    assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables_", "key"),
    [
        ({"MINDGLM_TELEGRAM_TOKEN": "no token"}, "telegram_token_shape"),
        ({"MINDGLM_TELEGRAM_TOKEN": "1:x", "MINDGLM_TELEGRAM_API_URL": "http://127.0.0.1:1/bot"}, "telegram_away"),
    ],
)
def test_what_keeps_telegram_away_is_told(
    patient: Callable[..., Patient], variables_: dict[str, str], key: str
) -> None:
    assert keys(examine_telegram, patient(**variables_))[key] is Grade.FAIL


def test_a_webhook_without_tls_is_told(patient: Callable[..., Patient], telegram: Telegram) -> None:
    place = patient(
        MINDGLM_TELEGRAM_TOKEN=TOKEN,
        MINDGLM_TELEGRAM_API_URL=telegram.api_url,
        MINDGLM_TELEGRAM_WEBHOOK_URL="http://example.org/hook",
    )
    assert keys(examine_telegram, place)["telegram_webhook_http"] is Grade.FAIL


def test_a_puppet_service_is_greeted_and_its_events_are_left_to_the_adapter(patient: Callable[..., Patient]) -> None:
    with Gateway() as stock:
        place = patient(MINDGLM_WECHAT_ENDPOINT=stock.endpoint, MINDGLM_WECHAT_TOKEN=WECHAT_TOKEN)
        assert keys(examine_wechat, place)["wechat_not_durable"] is Grade.WARN
        assert set(stock.calls) <= {"Start", "Version"}
        refused = patient(MINDGLM_WECHAT_TOKEN="another")
        assert keys(examine_wechat, refused)["wechat_token_refused"] is Grade.FAIL
    assert keys(examine_wechat, place)["wechat_away"] is Grade.FAIL
    with Gateway(is_durable=True) as ours:
        place = patient(MINDGLM_WECHAT_ENDPOINT=ours.endpoint, MINDGLM_WECHAT_TOKEN=WECHAT_TOKEN)
        assert keys(examine_wechat, place)["wechat"] is Grade.OK


def test_half_of_wechat_is_told(patient: Callable[..., Patient]) -> None:
    assert keys(examine_wechat, patient(MINDGLM_WECHAT_TOKEN="x")) == {"wechat_half": Grade.FAIL}


# --- Model and care ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables_", "key", "grade"),
    [
        ({"MINDGLM_ENGINE": "scripted"}, "engine_scripted", Grade.WARN),
        ({"MINDGLM_ENGINE": "openai"}, "engine_setting", Grade.FAIL),
        ({"MINDGLM_ENGINE": "openai", "MINDGLM_OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "engine_server", Grade.FAIL),
        ({"MINDGLM_ENGINE": "vllm", "MINDGLM_VLLM_COMMAND": "'"}, "engine_setting", Grade.FAIL),
        ({"MINDGLM_ENGINE": "vllm", "MINDGLM_VLLM_COMMAND": "vllm serve"}, "engine_vllm", Grade.OK),
        ({"MINDGLM_MODEL": "/no/model", "MINDGLM_VLLM_COMMAND": "vllm serve"}, "engine_no_gpu", Grade.OK),
        ({"MINDGLM_MODEL": "/no/model", "MINDGLM_QUANTIZE": "int8"}, "engine_quantized", Grade.OK),
        ({"MINDGLM_MODEL": "/no/model"}, "model_unusable", Grade.FAIL),
        ({"MINDGLM_MODEL": "Nobody/HasFetchedThis"}, "model_not_fetched", Grade.WARN),
        ({"MINDGLM_ADAPTER": "/no/adapter"}, "model_adapter", Grade.FAIL),
        ({"MINDGLM_DEVICE": "cuda:7"}, "device", Grade.FAIL),
    ],
)
def test_what_keeps_the_model_from_answering_is_told(
    patient: Callable[..., Patient],
    monkeypatch: pytest.MonkeyPatch,
    variables_: dict[str, str],
    key: str,
    grade: Grade,
) -> None:
    monkeypatch.setattr(completions, "_START_SECONDS", 0.5)
    assert keys(models.examine, patient(**variables_))[key] is grade


def test_a_model_larger_than_the_device_is_told(
    patient: Callable[..., Patient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_free", lambda *_: (1000, 2000))
    assert keys(models.examine, patient())["memory_too_small"] is Grade.FAIL
    monkeypatch.setattr(models, "_free", lambda *_: (1000, 2**40))
    assert keys(models.examine, patient())["memory_taken"] is Grade.WARN


def test_hotlines_that_nobody_checked_for_a_year_are_told(
    patient: Callable[..., Patient], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys(duties.examine, patient())["hotlines"] is Grade.OK
    monkeypatch.setattr("care.hotlines.STALE_AFTER", timedelta(days=-1))
    assert keys(duties.examine, patient())["hotlines_stale"] is Grade.WARN
