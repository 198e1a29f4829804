"""One thread for torch (this is what the numbers of the suite were taken with), and the tiny checkpoint."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from tests.worker.engine import chatglm2
from worker.model.examine import examine
from worker.model.load import load_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in ChatGLM2's format; not to be changed."""
    return chatglm2.write(tmp_path_factory.mktemp("models") / "chatglm2-tiny")


@pytest.fixture
def model(checkpoint: Path) -> PreTrainedModel:
    """The checkpoint on the native classes, in float32."""
    return load_model(examine(checkpoint), dtype="float32", device=torch.device("cpu"))
