"""Blocks and defers imports that libraries make and we do not need: memory on a small host, and time at each start."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

UNUSED_BY_ADAPTERS = ("colorama", "greenlet", "opentelemetry", "pygments", "rich", "yaml")
"""Optional imports of libraries that we never use (rich tracebacks, httpx's CLI, redis tracing): 8 MB."""
LATE_IN_ADAPTERS = {
    "redis.asyncio.cluster": ("ClusterNode", "RedisCluster", "_ClusterNodePoolAdapter"),
    "redis.cluster": ("RedisCluster",),
    "sqlalchemy.dialects.postgresql.asyncpg": (),
    "sqlalchemy.dialects.postgresql.pg8000": (),
    "sqlalchemy.dialects.postgresql.psycopg2": (),
    "sqlalchemy.dialects.postgresql.psycopg2cffi": (),
    "sqlalchemy.dialects.sqlite.aiosqlite": (),
    "sqlalchemy.dialects.sqlite.pysqlcipher": (),
    "telegram.request._httpxrequest": ("HTTPXRequest",),
}
"""What libraries import for clients that we never make: of a cluster, python-telegram-bot's over httpx, and drivers."""
UNUSED_BY_HELP = ("attr",)
"""Optional imports of rich, which formats the help."""
LATE_IN_HELP = {"rich.markdown": ("Markdown",), "rich.traceback": ("Traceback",)}
"""What typer imports for help texts in Markdown and for tracebacks, of which we have neither: 60 ms."""


@contextmanager
def services() -> Iterator[None]:
    """What an adapter, a worker or a supervisor imports in this block leaves out what none of them uses."""
    with without(*UNUSED_BY_ADAPTERS), late(LATE_IN_ADAPTERS), late_table("html.entities", "html5"):
        yield


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """What is imported in this block finds no such packages, as if they were not installed.

    For packages that others use only if they are there; one that is loaded already is left alone.
    """
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python itself marks such a one
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def late(names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """What is imported in this block finds these modules with these classes alone, imported when one is called.

    A module that is loaded already is left alone; after the block, importing one finds the whole module.
    """
    modules = {module: _late_module(module, classes) for module, classes in names.items() if module not in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for module in modules:
            del sys.modules[module]


@contextmanager
def late_table(module: str, name: str) -> Iterator[None]:
    """What is imported in this block finds this module with this one dictionary, imported when it is looked into."""
    if module in sys.modules:
        yield
        return
    made = sys.modules[module] = ModuleType(module)
    setattr(made, name, _LateTable(module, name))
    try:
        yield
    finally:
        del sys.modules[module]


class _LateTable(Mapping[Any, Any]):
    """Stands for a dictionary: html's has every name of a character, for text that hardly anybody sends."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __getitem__(self, key: Any) -> Any:
        return self._meant()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._meant())

    def __len__(self) -> int:
        return len(self._meant())

    def _meant(self) -> Any:
        return getattr(import_module(self._module), self._name)


def _late_module(module: str, classes: Sequence[str]) -> ModuleType:
    made = ModuleType(module)
    for name in classes:
        setattr(made, name, _Late(name, (), {}, module=module))
    return made


class _Late(type):
    """A class that imports the one it stands for when it is called or asked for an attribute."""

    _module: str

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any], *, module: str) -> "_Late":
        made = super().__new__(cls, name, bases, members)
        made._module = module
        return made

    def __init__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any], **_: str) -> None:
        super().__init__(name, bases, members)

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        return cls._meant()(*arguments, **options)

    def __getattr__(cls, attribute: str) -> Any:
        return getattr(cls._meant(), attribute)

    def _meant(cls) -> Any:
        return getattr(import_module(cls._module), cls.__name__)
