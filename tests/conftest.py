"""Real services for every test: from TEST_DATABASE_URL and TEST_REDIS_URL, or started here from wheels.

A service that cannot be had fails the tests that ask for it; nothing is skipped.
"""

import gc
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
import structlog
from redis import Redis

from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.storage import schema
from dialogue.storage.database import connect, sqlite_url
from tests.builders import Rooms
from tests.ears import chinese_in
from tests.parallel.plugin import Parallel
from tests.services import zygote
from tests.services.authority import write_certificate
from tests.services.databases import Databases, own_redis
from tests.services.memory import use_memory
from tests.services.migrated import migrate, migrated_file
from tests.services.postgres import PostgresServer
from tests.services.prepared_postgres import PreparedPostgres
from tests.services.statements import share_compiled_statements
from tests.services.unicode_tables import UnicodeTables
from tests.services.valkey import ValkeyServer

Server = TypeVar("Server", PostgresServer, ValkeyServer)

_ROOT = Path(__file__).parents[1]
_MAX_PROCESSES = 8
_USED_BY_MANY = ("httpcore", "peft", "tensorboardX")
"""Libraries that take seconds to import, and are imported when they are needed."""
_NUMBER = pytest.StashKey[int]()
"""Of the process that runs tests, where there are several; from 0."""
_POSTGRES = pytest.StashKey[PreparedPostgres]()
_UNICODE = pytest.StashKey[UnicodeTables]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--processes", help="run the tests in so many processes, or in as many as suit the machine: auto", metavar="N"
    )
    parser.addoption("--learn-slow-files", action="store_true", help="rewrite tests/parallel/slow_files.txt")


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # nearly all of what imports make stays: looking for garbage among it takes a third of their time
    use_memory()
    share_compiled_statements(pytest.MonkeyPatch())
    hypothesis.settings.register_profile("suite", deadline=None)  # on a busy machine anything takes long once
    hypothesis.settings.load_profile("suite")
    structlog.configure = partial(_configure, structlog.configure)
    if config.getoption("processes") is not None:
        _run_in_processes(config, config.getoption("processes"))


def _run_in_processes(config: pytest.Config, said: str) -> None:
    """What all of them use starts now, beside the collection of the tests."""
    count = _process_count() if said == "auto" else int(said)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # all cores are busy, and threads that wait for each other spin

    def after_fork(number: int) -> None:
        config.stash[_NUMBER] = number
        zygote.use(number)

    zygote.share(count)
    config.stash[_UNICODE] = UnicodeTables(_ROOT / ".hypothesis")
    if "TEST_DATABASE_URL" not in os.environ:
        config.stash[_POSTGRES] = PreparedPostgres()
    plugin = Parallel(count, after_fork, learns_slow_files=config.getoption("learn_slow_files"))
    config.pluginmanager.register(plugin, "parallel")


def _process_count() -> int:
    """More than there are cores: many tests wait for processes of their own, and forks cost little."""
    return min(2 * (os.cpu_count() or 1) + 1, _MAX_PROCESSES)


def _configure(configure: Callable[..., None], **settings: Any) -> None:
    """A logger that was kept since an earlier test would write past `capture_logs`."""
    configure(**settings | {"cache_logger_on_first_use": False})


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported stays: the garbage collector need not walk through thousands of test functions again."""
    if session.config.getoption("processes") is not None:
        _prepare_for_forks(session.config)
    gc.collect()
    gc.freeze()
    gc.enable()


def _prepare_for_forks(config: pytest.Config) -> None:
    """Else each process would do it for itself."""
    for name in _USED_BY_MANY:
        importlib.import_module(name)
    zygote.warm()
    config.stash[_UNICODE].wait()
    migrated_file()
    if postgres := config.stash.get(_POSTGRES, None):
        postgres.urls()


def pytest_unconfigure(config: pytest.Config) -> None:
    if postgres := config.stash.get(_POSTGRES, None):
        postgres.stop()


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that a test runs in this process may silence the log: not that of the tests after it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def _authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("authorities") / "authority.pem"
    write_certificate(file)
    return file


@pytest.fixture(autouse=True)
def _nothing_of_the_developers(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _authorities: Path
) -> None:
    """A test, and each process it starts, sees no MINDGLM_* variables, no .env and no data directory but its own."""
    for name in os.environ:
        if name.startswith("MINDGLM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MINDGLM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    if request.node.get_closest_marker("e2e") is None:
        monkeypatch.setenv("SSL_CERT_FILE", str(_authorities))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_word_in_any_log(tmp_path: Path) -> Iterator[None]:
    """Whatever a test is about: what people wrote in it is in no log of any process that it started."""
    yield
    found = [line for log in tmp_path.rglob("*.log*") for line in chinese_in(log.read_text(errors="replace"))]
    assert found == []


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary directory whose path leaves room for the name of a unix socket."""
    with _short_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def _postgres(pytestconfig: pytest.Config) -> Iterator[str]:
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    if shared := pytestconfig.stash.get(_POSTGRES, None):
        yield shared.urls()[0]
        return
    with _short_directory() as directory, _running(PostgresServer(directory)) as server:
        yield server.url()


@pytest.fixture(scope="session")
def postgres_url(_postgres: str) -> Iterator[str]:
    """A PostgreSQL database that all tests of this run share, as an SQLAlchemy URL."""
    databases = Databases(_postgres)
    yield databases.make()
    databases.drop_all()


@pytest.fixture(scope="session")
def _postgres_template(pytestconfig: pytest.Config, _postgres: str) -> Iterator[str]:
    """A database with this code's schema that nothing connects to; the others are copies of it."""
    if shared := pytestconfig.stash.get(_POSTGRES, None):
        yield shared.urls()[1]
        return
    databases = Databases(_postgres)
    url = databases.make()
    schema.upgrade_at(url)
    yield url
    databases.drop_all()


@pytest.fixture
def empty_postgres_database(_postgres: str) -> Iterator[Callable[[], str]]:
    """Each call makes an empty PostgreSQL database and returns its URL; the end of the test drops them."""
    databases = Databases(_postgres)
    yield databases.make
    databases.drop_all()


@pytest.fixture
def postgres_database(_postgres: str, _postgres_template: str) -> Iterator[Callable[[], str]]:
    """As `empty_postgres_database`, with this code's schema."""
    databases = Databases(_postgres)
    yield partial(databases.make, like=_postgres_template)
    databases.drop_all()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with this code's schema, on SQLite and on PostgreSQL, for what is promised on both; as a URL."""
    if request.param == "postgresql":
        new_database: Callable[[], str] = request.getfixturevalue("postgres_database")
        return new_database()
    url = sqlite_url(tmp_path / "test.db")
    migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def each_empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """As `each_database`, without tables."""
    if request.param == "postgresql":
        new_database: Callable[[], str] = request.getfixturevalue("empty_postgres_database")
        return new_database()
    return sqlite_url(tmp_path / "test.db")


@pytest.fixture
def rooms(sqlite_rooms: Rooms) -> Rooms:
    """The domain on a database of the test's own."""
    return sqlite_rooms


@pytest.fixture
def sqlite_rooms(tmp_path: Path) -> Iterator[Rooms]:
    """On SQLite, also where `rooms` is on another."""
    url = sqlite_url(tmp_path / "test.db")
    migrate(url)
    database = connect(url)
    yield Rooms(database)
    database.close()


@pytest.fixture
def postgres_server(short_path: Path) -> Iterator[PostgresServer]:
    """A running PostgreSQL that is this test's alone, to stop, kill and start."""
    with _running(PostgresServer(short_path)) as server:
        yield server


@pytest.fixture(scope="session")
def _redis(pytestconfig: pytest.Config) -> Iterator[str]:
    url = os.environ.get("TEST_REDIS_URL")
    if url:
        yield own_redis(url, pytestconfig.stash.get(_NUMBER, 0))
        return
    with _short_directory() as directory, _running(ValkeyServer(directory)) as server:
        yield server.url


@pytest.fixture
def redis_url(_redis: str) -> str:
    """An empty Redis database, in Celery's form of URL; the one of TEST_REDIS_URL is emptied before each test."""
    with Redis.from_url(in_redis_form(_redis)) as redis:
        redis.flushdb()
    return _redis


@pytest.fixture
def valkey_server(short_path: Path) -> Iterator[ValkeyServer]:
    """A running Valkey that is this test's alone, to stop, kill and start."""
    with _running(ValkeyServer(short_path)) as server:
        yield server


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _short_directory() -> Iterator[Path]:
    """pytest's own directories are too long for a unix socket on some systems."""
    directory = Path(tempfile.mkdtemp(prefix="mg-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
