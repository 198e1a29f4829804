"""Which instruction a model gets."""

import pytest

from dialogue.process.settings import INSTRUCTION
from worker.instructions import HONEST, IN_DANGER, Instructions


@pytest.mark.parametrize("tier", [0, 1, 2, 3])
@pytest.mark.parametrize("prompt", ["rounds-seed", "rounds-fullwidth"])
def test_models_trained_on_the_seeds_prompt_get_it_to_the_character(prompt: str, tier: int) -> None:
    assert Instructions().of(prompt, tier=tier) == INSTRUCTION


@pytest.mark.parametrize("prompt", ["chat", "template"])
def test_other_models_are_not_told_to_hide_that_they_are_programs(prompt: str) -> None:
    said = Instructions().of(prompt, tier=0)
    assert said == HONEST
    assert "如实承认" in said
    assert "避免透露" not in said


@pytest.mark.parametrize(("tier", "is_told"), [(0, False), (1, False), (2, True), (3, True)])
def test_they_are_told_of_the_danger(tier: int, is_told: bool) -> None:
    assert (IN_DANGER in Instructions().of("chat", tier=tier)) is is_told
    assert (IN_DANGER in Instructions(written="Be kind.").of("chat", tier=tier)) is is_told


@pytest.mark.parametrize("prompt", ["chat", "template", "rounds-seed"])
def test_what_the_operator_writes_is_taken_for_every_model(prompt: str) -> None:
    assert Instructions(written="Be kind.").of(prompt, tier=0) == "Be kind."
