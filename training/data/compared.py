"""Files of comparisons, plain or sealed, as one list."""

from collections.abc import Sequence
from pathlib import Path

from training.data import feedback
from training.data.preferences import Preference, read_preferences


def read_all(files: Sequence[Path]) -> list[Preference]:
    """Every comparison of the files, in order. Raises `TrainingTrouble`."""
    return [one for file in files for one in _read(file)]


def _read(file: Path) -> list[Preference]:
    if file.suffix == feedback.SUFFIX:
        return feedback.read_sealed(file, feedback.training_key())
    return read_preferences(file)
