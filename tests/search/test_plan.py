import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from upres.errors import RecipeError
from upres.networks import NetworkSpec
from upres.search.export import recipe_of
from upres.search.plan import Plan, load_plan, plan_of
from upres.training.recipe import load_recipe

SHIPPED = sorted(item.name[:-5] for item in resources.files("upres.searches").iterdir() if item.name.endswith(".toml"))
FOLDERS = ["data.train=a", "data.validation=b"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_searches_that_ship_can_be_read(name: str) -> None:
    for smoke in (False, True):
        plan = load_plan(name, FOLDERS, smoke=smoke)
        assert plan.name == name
    assert plan.evaluations < load_plan(name, FOLDERS).evaluations


@pytest.mark.parametrize(
    ("line", "instead", "error"),
    [
        ("channels = [4, 6, 8]", "channels = [4, 6.5, 8]", "space.channels.1 = 6.5: must be a whole number"),
        ("channels = [4, 6, 8]", "channels = []", "space: there is nothing to choose for channels"),
        ("channels = [4, 6, 8]", "chanels = [4]", "space.chanels: unknown key; known: scale, channels, blocks"),
        ('name = "plain"', 'name = "spiral"', "space.name = 'spiral': must be one of elastic, plain"),
        ('layers = ["plain", "edge"]', 'layers = ["dense"]', "space.layers.0 = 'dense': must be one of plain, edge"),
        ('"multiply_adds"]', '"speed"]', "objectives.1: there is no 'speed'; known: psnr, multiply_adds"),
        ('"multiply_adds"]', '"latency"]', "latency is missing: a table with a reference"),
        ('"psnr", "multiply_adds"]', '"psnr"]', "name two or more different ones"),
        ("steps = 8", 'teacher = "self"', "stage.teacher: is not for candidates, which are trained briefly"),
        ("population = 4", "populaton = 4", "controller.populaton: unknown key; known: method, population"),
        ("population = 4", "reinforced = 1.5", "controller.reinforced = 1.5: must lie between 0 and 1"),
        ("evaluations = 12", "evaluations = 0", "evaluations = 0: must be at least 1"),
        ("evaluations = 12", 'seeds = ["fine_x3"]', "seeds.0 = 'fine_x3': bicubicpp is outside of the space"),
        ("evaluations = 12", 'seeds = ["nothing.pth"]', "seeds.0 = 'nothing.pth'"),
        ("evaluations = 12", "budget = 12", "unknown key budget; a search has seed, evaluations"),
        ("steps = 8", "steps = 0", "stage.steps = 0: must be at least 1"),
        ("steps = 100", "steps = -1", "full.0.steps = -1: must be at least 1"),
    ],
)
def test_an_error_names_the_file_the_line_and_the_key(
    search_file: Path, tmp_path: Path, line: str, instead: str, error: str
) -> None:
    text = search_file.read_text()
    assert line in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(line, instead, 1))
    with pytest.raises(RecipeError) as found:
        load_plan(str(path))
    message = str(found.value)
    assert error in message
    assert message.startswith(f"{path}, line ") or "is missing" in message
    if line in ("population = 4", "steps = 8", "evaluations = 12"):
        number = path.read_text().splitlines().index(instead) + 1
        assert message.startswith(f"{path}, line {number}: ")


def test_a_scale_that_no_network_of_the_space_has_is_said(search_file: Path, tmp_path: Path) -> None:
    text = re.sub(r'name = "plain".*?(?=\n\n)', 'name = "elastic"\nscale = 3', search_file.read_text(), flags=re.DOTALL)
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"wrong.toml, line 6: space: the square of the scale must divide 32"):
        load_plan(str(tmp_path / "wrong.toml"))


def test_what_is_missing_is_said(search_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(search_file.read_text().split("[[full]]")[0])
    with pytest.raises(RecipeError, match=r"needs at least one \[\[full\]\]"):
        load_plan(str(path))
    path.write_text(search_file.read_text().replace("validation =", "lr ="))
    with pytest.raises(RecipeError, match=r"data\.validation is missing: a folder of photographs"):
        load_plan(str(path))
    with pytest.raises(RecipeError, match=r"no search is called 'nothing': give a"):
        load_plan("nothing")


def test_a_plan_is_made_again_of_what_it_was_read_from(plan: Callable[..., Plan]) -> None:
    changed = plan("evaluations=7", "controller.reinforced=0.25")
    assert changed.evaluations == 7
    assert plan_of(changed.source) == changed


def test_a_written_recipe_says_what_the_search_said(plan: Callable[..., Plan], tmp_path: Path) -> None:
    found = plan(
        'full.0.schedule={name="multi_step", milestones=[10, 20], factor=0.5}',
        'full.0.before=[{name="load", checkpoint="a b.safetensors"}]',
        "full.0.clip_norm=1e-1",
    )
    spec = NetworkSpec("bicubicpp", {"scale": 2, "anchor": True, "layer": "edge", "bias": True})
    path = tmp_path / "written.toml"
    path.write_text(recipe_of(spec, found.full, "two\nlines"))
    recipe = load_recipe(str(path))
    assert recipe.network == spec
    assert recipe.stages == found.full
    assert path.read_text().startswith("# two\n# lines\n")
