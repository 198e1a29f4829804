"""Fine-tuning in ChatGLM2's own format: what is trained there is served by the worker."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.worker.engine import chatglm2
from training import sft, student
from training.recipe import Lora, SftRecipe
from worker.engine.assemble import assemble
from worker.engine.batched import Batched
from worker.engine.port import Request
from worker.settings import WorkerSettings

PEFT_IS_BEHIND = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@PEFT_IS_BEHIND
def test_an_adapter_trained_on_chatglm2_is_served_by_its_setting(tmp_path: Path, corpus_directory: Path) -> None:
    model = chatglm2.write(tmp_path / "chatglm2")
    recipe = SftRecipe(
        lora=Lora(rank=8),
        precision="float32",
        device="cpu",
        threads=1,
        hours=None,
        steps=30,
        rows=2,
        length=512,
        rate=2e-2,
        warmup=2,
        decay=0.5,
        measured=2,
    )
    sft.tune(tmp_path / "run", model=model, data=corpus_directory, recipe=recipe, is_resumed=False, say=lambda _: None)
    adapter = tmp_path / "run" / student.ADAPTER
    assert all("lora" in name for name in load_file(adapter / "adapter_model.safetensors"))

    def first_words(with_adapter: Path | None) -> str:
        torch.manual_seed(0)
        settings = WorkerSettings(
            model=str(model),
            adapter=str(with_adapter) if with_adapter else None,
            dtype="float32",
            threads=1,
            top_k=1,
        )
        engine = Batched(lambda: assemble(settings, capacity=1), capacity=1)
        engine.start()
        try:
            request = Request(
                id="1",
                instruction=settings.instruction,
                history=(),
                text="我最近睡不着。",
                max_tokens=12,
                deadline_seconds=60,
            )
            return [progress.text for progress in engine.stream(request)][-1]
        finally:
            engine.stop()

    assert first_words(adapter) != first_words(None)
