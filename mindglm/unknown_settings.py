"""Says at the start which ``MINDGLM_*`` variables nothing reads: a misspelt setting does nothing."""

from mindglm import language


def warn() -> None:
    """A line on stderr for each, with the nearest known name; values are never shown."""
    from mindglm.doctor.variables import unknown

    for name, likely in unknown():
        language.echo(
            f"mindglm: {name} is set, but there is no such setting; did you mean {likely}?"
            if likely
            else f"mindglm: {name} is set, but there is no such setting",
            to_stderr=True,
        )
