from pathlib import Path

import pytest

from training import recipe
from training.estimate import CHATGLM2_6B, estimate
from training.recipe import PpoRecipe, PretrainRecipe, Recipe, RewardRecipe

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.mark.parametrize(("name", "kind"), [("pretrain", PretrainRecipe), ("reward", RewardRecipe), ("ppo", PpoRecipe)])
def test_what_made_the_bundled_model_is_still_a_recipe(name: str, kind: type[Recipe]) -> None:
    assert recipe.read(kind, RECIPES / f"bundled-{name}.yaml", {}).hours


def test_the_recipe_for_one_card_of_24_gigabytes_fits_it() -> None:
    made = recipe.read(PpoRecipe, RECIPES / "mindglm-ppo-24gb.yaml", {})
    assert estimate(CHATGLM2_6B, made, flops=1e12).total_gib < 22
