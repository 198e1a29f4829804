"""Leaves docstrings out of what is imported: in a process that runs for months nobody asks for help.

Python's own switch for it (-OO) leaves out assertions, too, and compiles all libraries anew where nothing may be
written. Docstrings of our own classes stay: those of errors are what people read.
"""

import opcode
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

_CO_OPTIMIZED, _CO_HAS_DOCSTRING = 0x1, 0x4000000  # of `inspect`, whose import takes as long as all of this
_HAS_DOCSTRING = _CO_HAS_DOCSTRING if sys.version_info >= (3, 14) else _CO_OPTIMIZED
"""Before Python 3.14 the first constant of any function is its docstring or None."""
_LARGEST_BYTE = 0xFF
_READS_FIRST_CONSTANT = tuple(bytes((code, 0)) for code in opcode.hasconst if code <= _LARGEST_BYTE)

_LIBRARIES = frozenset(
    {
        *("aiohttp", "amqp", "billiard", "celery", "click", "httpcore", "httpx", "kombu", "psutil", "psycopg"),
        *("pydantic", "pydantic_settings", "redis", "sqlalchemy", "structlog", "telegram", "vine", "yarl"),
    }
)
"""Whose docstrings nothing reads at run time."""
_OF_CLASSES_TOO = frozenset({"redis", "telegram"})
_KNOWN = _LIBRARIES | sys.stdlib_module_names | {"bot", "care", "dialogue", "worker"}

_READ_AT_IMPORT = frozenset(f"sqlalchemy.{part}.events" for part in ("engine", "orm", "pool", "sql"))
"""Modules of libraries that read docstrings of their own."""


@contextmanager
def left_out(*more: str) -> Iterator[None]:
    """Of known packages, and of `more`: from what is imported in this block. What was imported before keeps them."""
    finder = _Finder(_KNOWN.union(more))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def without_docstrings(code: CodeType) -> CodeType:
    """The same code; functions in it that had a docstring have none."""
    constants = [without_docstrings(each) if isinstance(each, CodeType) else each for each in code.co_consts]
    if _is_docstring_first(code):
        constants[0] = None
    if all(new is old for new, old in zip(constants, code.co_consts, strict=True)):
        return code
    return code.replace(co_consts=tuple(constants))


def _is_docstring_first(code: CodeType) -> bool:
    """Whether a function's first constant is a docstring, and nothing else (https://docs.python.org/3/reference/datamodel.html).

    A function that also returns the same words shares the constant, and keeps it.
    """
    if not code.co_flags & _HAS_DOCSTRING or code.co_name.startswith("<") or not code.co_consts:
        return False
    return isinstance(code.co_consts[0], str) and not _is_first_constant_read(code.co_code)


def _is_first_constant_read(instructions: bytes) -> bool:
    """Two bytes each; where an instruction's number of a constant ends in 0, too: such a docstring just stays."""
    for reading in _READS_FIRST_CONSTANT:
        at = instructions.find(reading)
        while at != -1:
            if at % 2 == 0:
                return True
            at = instructions.find(reading, at + 1)
    return False


class _Finder:
    """Python's own, whose modules from source files are loaded by `_Loader`."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in self._packages or name in _READ_AT_IMPORT:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        return None if code is None else without_docstrings(code)

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if module.__name__.partition(".")[0] in _OF_CLASSES_TOO:
            for each in vars(module).values():
                if isinstance(each, type) and each.__module__ == module.__name__:
                    _leave_out_of(each)


def _leave_out_of(each: type) -> None:
    with suppress(AttributeError, TypeError):  # of a class that is written in C, or that guards its attributes
        if each.__dict__.get("__doc__") is not None:
            each.__doc__ = None
