from pathlib import Path

import pytest

from training import recipe
from training.recipe import PpoRecipe, PretrainRecipe, Recipe, RewardRecipe

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.mark.parametrize(("name", "kind"), [("pretrain", PretrainRecipe), ("reward", RewardRecipe), ("ppo", PpoRecipe)])
def test_what_made_the_bundled_model_is_still_a_recipe(name: str, kind: type[Recipe]) -> None:
    assert recipe.read(kind, RECIPES / f"bundled-{name}.yaml", {}).hours
