"""Turns expected training errors into one line and exit status 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mindglm import language


@contextmanager
def refusals() -> Iterator[None]:
    """An expected error is one line and exit status 1."""
    try:
        from training.trouble import TrainingTrouble
        from worker.engine.port import ModelUnusable
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    try:
        yield
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    except (TrainingTrouble, ModelUnusable) as error:
        language.echo(f"mindglm: {error}", to_stderr=True)
        raise typer.Exit(1) from None


def _missing(error: ModuleNotFoundError) -> typer.Exit:
    language.echo(f"mindglm: {error.name} is not installed: pip install 'mindglm-bot[local,training]'", to_stderr=True)
    return typer.Exit(1)
