"""Blocks optional imports of libraries to save memory: every megabyte counts on a small host."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED_BY_ADAPTERS = ("colorama", "opentelemetry", "pygments", "rich", "yaml")
"""Optional imports of libraries that we never use (rich tracebacks, httpx's CLI, redis tracing): 8 MB."""


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
