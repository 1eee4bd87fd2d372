from pathlib import Path

import pytest

from upres.errors import RecipeError
from upres.training.recipe import folders, load_recipe

MINIMAL = """
[network]
name = "bicubicpp"
scale = 2

[[stage]]
steps = 10
"""

SHIPPED = ("fast_x2", "fast_x3", "fast_x4")


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
        ("stage.0.steps=many", "stage.0.steps = 'many': must be a whole number"),
        ("stage.0.steps=true", "must be a whole number"),
        ("stage.0.steps=0", "stage.0.steps = 0: must be at least 1"),
        ("stage.0.batch=0", "stage.0.batch = 0: must be at least 1"),
        ("stage.0.learning_rate=-1", "must not be negative"),
        ("stage.0.optimizer=adagrad", "must be one of adam, adamw, sgd, soap"),
        ("stage.0.rates={head='x'}", "stage.0.rates.head = 'x': must be a number"),
        ("stage.0.losses={l7=1}", "no such loss; known: l1"),
        ("stage.0.losses={l1='x'}", "stage.0.losses.l1 = 'x': must be a number"),
        ("stage.3.steps=1", "the recipe has no stage.3"),
        ("steps", "write key=value"),
        ("network.name=none", "network.name = 'none': must be one of bicubicpp, bsrn"),
        ("network.depth=3", "network.depth: unknown key; known: scale, channels"),
        ("network.bias=no", "network.bias = 'no': must be true or false"),
        ("network.channels=-3", "network.channels = -3: must not be negative"),
        ("network.channels=0", "network: no such network can be made"),
        ("network.scale=0", "network.scale = 0: must be at least 1"),
        ("network={name='classsr', channels=[3]}", "must be of two branches or more, not [3]"),
        ("stage.0.momentum=1", "stage.0.momentum = 1: must be below 1"),
        ("stage.0.before=['quantise', {name='add_bases'}]", "before.1: add_bases cannot follow quantise; do it before"),
        ("stage=[]", "at least one"),
        (
            "stage.0.schedule=knees",
            "stage.0.schedule.name = 'knees': must be one of constant, cosine, step, multi_step",
        ),
        ("stage.0.schedule={name='step'}", "stage.0.schedule.every is missing"),
        ("stage.0.schedule=step", "stage.0.schedule.every is missing"),
        ("stage.0.schedule={name='knee', bend=1}", "stage.0.schedule.bend: unknown key; known: knee, final"),
        ("stage.0.schedule={name='knee', knee=2}", "stage.0.schedule.knee = 2: must lie between 0 and 1"),
        ("stage.0.schedule={name='multi_step', milestones=[0]}", "milestones.0 = 0: must be at least 1"),
        ("stage.0.schedule=one_cycle", "stage.0.warmup = 500: one_cycle has its own rise; set warmup = 0"),
        ("stage.0.accumulate=5", "stage.0.accumulate = 5: must divide the batch of 32"),
        ("stage.0.ema=1.5", "stage.0.ema = 1.5: must lie between 0 and 1"),
        ("stage.0.losses={l1={weight=1, epsilon=1}}", "stage.0.losses.l1.epsilon: unknown key; known: none"),
        ("stage.0.losses={charbonnier={epsilon='x'}}", "losses.charbonnier.epsilon = 'x': must be a number"),
        ("stage.0.losses={ssim={on='g'}}", "stage.0.losses.ssim.on = 'g': must be one of rgb, y"),
        ("stage.0.losses={}", "stage.0.losses is empty; known: l1"),
        ("stage.0.losses={distillation=1}", "stage.0.losses.distillation.teacher is missing"),
        ("stage.0.losses={perceptual={layers='conv9_9'}}", "vgg19 has no layer conv9_9; it has conv1_1"),
        ("stage.0.losses={adversarial={kind='wgan'}}", "must be one of standard, relativistic_average"),
        ("data.degradation=[{name='jpeg', quality=90}]", "data.degradation: the last resize must be without scale"),
        ("data.flips=1", "data.flips = 1: must be true or false"),
        ("seed=1.5", "seed = 1.5: must be a whole number"),
        ("stage.0.before=prun", "stage.0.before.0.name = 'prun': must be one of load, prune, remove_biases"),
        ("stage.0.before=load", "stage.0.before.0.checkpoint is missing"),
        ("stage.0.after=[merge, 3]", "stage.0.after"),
        ("stage.0.after=[{name='add_bases', count=0}]", "stage.0.after.0.count = 0: must be at least 1"),
        ("stage.0.before=[{name='prune', by='luck'}]", "stage.0.before.0.by = 'luck': must be one of validation"),
        ("stage.0.difficulty={by='bicubic'}", "stage.0.difficulty.part is missing"),
        ("stage.0.difficulty={by='bicubic', part=3}", "stage.0.difficulty.part = 3: must be below parts, 3"),
        ("stage.0.precision=64-true", "must be one of auto, 32-true, bf16-mixed, 16-mixed"),
        ("stage.0={steps=2, scales=[2, 3], losses={adversarial=1.0}}", "losses.adversarial: works without scales only"),
        ("data.memory=lots", "data.memory = 'lots': must be a number"),
    ],
)
def test_what_is_wrong_is_named(recipe: Path, change: str, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(str(recipe), [change])
    assert says in str(error.value)


def test_what_follows_quantise_in_later_stages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(f"{MINIMAL}before = ['quantise']\n[[stage]]\nsteps = 1\nafter = ['merge']\n")
    with pytest.raises(RecipeError, match=r"line 11: stage\.1\.after\.0: merge cannot follow quantise"):
        load_recipe(str(path))


@pytest.mark.parametrize("folder", ["plain", 'with "quotes"', "back\\slash", "\\new", "größe"])
def test_folders_are_taken_as_they_are_called(recipe: Path, folder: str) -> None:
    data = load_recipe(str(recipe), folders(folder, f"{folder}/b")).data
    assert (data.train, data.validation) == (folder, f"{folder}/b")
    assert folders(None, None) == []


COMMENTED = """# A recipe with everything that a line can be
seed = 1
[network]
name = "bicubicpp"  # = "x"
scale = 2

[data]
train = '''a
b'''
degradation = [
    { name = "gaussian_blur", sigma = 1.5 },
    { name = "resize", kernel = ["area",
        "bilinear"] },
]

[[stage]]
steps = 10

[[stage]]
steps = 20
losses.l1 = 1.0
schedule = { name = "knee", knee = 0.5 }
[stage.losses.perceptual]
weight = 0.1
"""


@pytest.mark.parametrize(
    ("line", "old", "new", "says"),
    [
        (2, "seed = 1", "sed = 1", "unknown key sed"),
        (2, "seed = 1", "seed = 1.5", "seed = 1.5"),
        (3, 'name = "bicubicpp"', 'nme = "bicubicpp"', "network.name is missing"),
        (7, "[data]", "[date]", "unknown key date"),
        (11, "sigma = 1.5", "sigma = []", "data.degradation.0.sigma"),
        (12, '"area"', '"aria"', "data.degradation.1.kernel.0"),
        (13, '"bilinear"', '"trilinear"', "data.degradation.1.kernel.1"),
        (16, "steps = 10", "", "stage.0.steps is missing"),
        (17, "steps = 10", "steps = 0", "stage.0.steps = 0"),
        (20, "steps = 20", 'steps = "20"', "stage.1.steps"),
        (21, "losses.l1", "losses.l0", "stage.1.losses.l0"),
        (22, "knee = 0.5", "bend = 0.5", "stage.1.schedule.bend"),
        (23, "perceptual", "perception", "stage.1.losses.perception"),
        (24, "weight", "wait", "stage.1.losses.perceptual.wait"),
    ],
)
def test_the_line_is_named(tmp_path: Path, line: int, old: str, new: str, says: str) -> None:
    (tmp_path / "r.toml").write_text(COMMENTED)
    assert load_recipe(str(tmp_path / "r.toml")).stages[1].losses == {"l1": 1.0, "perceptual": {"weight": 0.1}}
    assert COMMENTED.count(old) == 1
    (tmp_path / "r.toml").write_text(COMMENTED.replace(old, new))
    with pytest.raises(RecipeError) as error:
        load_recipe(str(tmp_path / "r.toml"))
    assert f"r.toml, line {line}: " in str(error.value)
    assert says in str(error.value)


def test_a_change_from_the_command_line_is_named_instead_of_a_line(recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"^--set stage.0.steps=0: stage.0.steps = 0"):
        load_recipe(str(recipe), ["stage.0.steps=0"])


SHORT = """
[smoke]
stage.0.steps = 3
network.channels = 8
"stage.0.losses" = { l2 = 1.0 }
"""


def test_a_smoke_changes_what_it_says_and_the_command_line_more(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(MINIMAL + SHORT)
    long, short = load_recipe(str(path)), load_recipe(str(path), smoke=True)
    assert (long.steps, short.steps) == (10, 3)
    assert "channels" not in long.network.arguments
    assert short.network.arguments["channels"] == 8
    assert (long.stages[0].losses, short.stages[0].losses) == ({"l1": 1.0}, {"l2": 1.0})
    assert load_recipe(str(path), ["stage.0.steps=5"], smoke=True).steps == 5
    assert long.name == "r"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("stage.0.steps = 3", "stage.0.steps = 0", "r.toml, line 10: stage.0.steps = 0"),
        ("stage.0.steps = 3", "stage.1.steps = 3", "r.toml, line 10: the recipe has no stage.1"),
        ("network.channels", "network.chanels", "chanels"),
    ],
)
@pytest.mark.parametrize("smoke", [False, True])
def test_what_is_wrong_in_a_smoke_is_named(tmp_path: Path, old: str, new: str, says: str, smoke: bool) -> None:
    path = tmp_path / "r.toml"
    path.write_text((MINIMAL + SHORT).replace(old, new))
    with pytest.raises(RecipeError) as error:
        load_recipe(str(path), smoke=smoke)
    assert says in str(error.value)


def test_a_recipe_without_smoke_says_so_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(MINIMAL)
    load_recipe(str(path))
    with pytest.raises(RecipeError, match=r"has no \[smoke\]"):
        load_recipe(str(path), smoke=True)


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


def test_a_file_may_begin_with_a_byte_order_mark_but_is_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    text = '# für\n[network]\nname = "espcn"\n[[stage]]\nsteps = 1\n'
    path.write_text(text, "utf-8-sig")
    assert load_recipe(str(path)).network.name == "espcn"
    path.write_text(text, "latin-1")
    with pytest.raises(RecipeError, match=r"a.toml: is not in UTF-8"):
        load_recipe(str(path))
