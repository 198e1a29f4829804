"""Files of comparisons, plain or sealed, as one list."""

from collections.abc import Callable, Sequence
from pathlib import Path

from training.data import feedback
from training.data.preferences import Preference, read_preferences

Say = Callable[[str], None]


def read_all(files: Sequence[Path], *, say: Say) -> list[Preference]:
    """Every comparison of the files, in order; what is left out is said. Raises `TrainingTrouble`."""
    return [one for file in files for one in _read(file, say)]


def _read(file: Path, say: Say) -> list[Preference]:
    if file.suffix == feedback.SUFFIX:
        return feedback.read_sealed(file, feedback.training_key())
    return read_preferences(file, say=say)
