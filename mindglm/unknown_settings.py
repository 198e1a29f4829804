"""Says at the start which ``MINDGLM_*`` variables nothing reads: a misspelt setting does nothing."""

import sys


def warn() -> None:
    """A line on stderr for each, with the nearest known name; values are never shown."""
    from mindglm.doctor.variables import unknown

    for name, likely in unknown():
        hint = f"; did you mean {likely}?" if likely else ""
        sys.stderr.write(f"mindglm: {name} is set, but there is no such setting{hint}\n")
