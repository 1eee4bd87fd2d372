from importlib import resources
from pathlib import Path

import pytest

from upres.errors import RecipeError
from upres.training.recipe import load_recipe

MINIMAL = """
[network]
name = "bicubicpp"
scale = 2

[[stage]]
steps = 10
"""

SHIPPED = sorted(item.name[:-5] for item in resources.files("upres.recipes").iterdir() if item.name.endswith(".toml"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(MINIMAL)
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_that_ships_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.network.build().scale == int(name[-1])
    assert recipe.steps >= 1000


def test_defaults_and_changes_from_the_command_line(recipe: Path) -> None:
    made = load_recipe(
        str(recipe), ["stage.0.steps=7", "stage.0.losses={l2=0.5}", "data.train=photos", "network.channels=8"]
    )
    assert made.stages[0].steps == 7
    assert made.stages[0].losses == {"l2": 0.5}
    assert made.stages[0].optimizer == "adam"
    assert made.data.train == "photos"
    assert made.network.arguments == {"scale": 2, "channels": 8}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("colour=1", "unknown key colour"),
        ("stage.0.stps=1", "stage.0.stps: unknown key; known: steps"),
        ("stage.0.steps=many", "stage.0.steps = 'many': must be int"),
        ("stage.0.steps=true", "must be int"),
        ("stage.0.steps=0", "stage.0.steps = 0: must be at least 1"),
        ("stage.0.batch=0", "stage.0.batch = 0: must be at least 1"),
        ("stage.0.learning_rate=-1", "must not be negative"),
        ("stage.0.optimizer=sgd", "must be one of adam, adamw, soap"),
        ("stage.0.losses={l7=1}", "no such loss; known: l1"),
        ("stage.0.losses={l1='x'}", "stage.0.losses.l1 = 'x': must be a number"),
        ("stage.3.steps=1", "the recipe has no stage.3"),
        ("steps", "write key=value"),
        ("network.name=none", "known: bicubicpp"),
        ("network.depth=3", "depth"),
        ("stage=[]", "at least one"),
        ("seed=1.5", "seed = 1.5: must be int"),
    ],
)
def test_what_is_wrong_is_named(recipe: Path, change: str, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(str(recipe), [change])
    assert says in str(error.value)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="fast_x2, fast_x3, fast_x4"):
        load_recipe("none")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "broken.toml").write_text("[network\n")
    with pytest.raises(RecipeError, match="line 1"):
        load_recipe(str(tmp_path / "broken.toml"))
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(RecipeError, match=r"network.name is missing"):
        load_recipe(str(tmp_path / "empty.toml"))
