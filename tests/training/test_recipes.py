"""The recipes that ship: that they say what their papers say, and that they run."""

from dataclasses import replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from upres.images import Picture, read, write
from upres.networks.checkpoint import load_checkpoint
from upres.training.recipe import Recipe, Stage, load_recipe
from upres.training.stage import learning_rate
from upres.training.trainer import train

SHIPPED = sorted(item.name[:-5] for item in resources.files("upres.recipes").iterdir() if item.name.endswith(".toml"))
PAPERS = (
    "bicubicpp",
    "carn",
    "classsr_carn",
    "classsr_fsrcnn",
    "classsr_srresnet",
    "falsr_a",
    "fimdn",
    "fsrcnn",
    "imdn",
    "johnson_style",
    "johnson_x4",
    "johnson_x8",
    "latticenet",
    "msrresnet",
    "pan",
    "rfdn",
    "srcnn",
    "srgan",
    "srresnet",
    "uestc_medialab",
    "vdsr",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_is_valid_and_becomes_short(name: str) -> None:
    recipe = load_recipe(name)
    if name in PAPERS:
        assert load_recipe(name, smoke=True).steps < recipe.steps / 10
        assert (resources.files("upres.recipes") / f"{name}.toml").read_text("utf-8").startswith("# ")


def rates(stage: Stage, *steps: int) -> list[float]:
    return [learning_rate(stage, step) for step in steps]


def hr(recipe: Recipe, number: int = 0) -> int:
    return recipe.stages[number].patch * recipe.network.build().scale


# By the paper's own numbers: steps, patches in one, their HR side, loss, and rates at the start, in the middle, at the
# end of a stage.
STAGES: dict[str, list[tuple[int, int, int, set[str], tuple[float, float, float]]]] = {
    "srcnn": [(8 * 10**8 // 128, 128, 33, {"luma_l2"}, (1e-4, 1e-4, 1e-4))],
    "vdsr": [(9960, 64, 28, {"luma_l2"}, (0.1, 0.001, 0.0001))],
    "carn": [(600_000, 64, 256, {"l1"}, (1e-4, 1e-4, 0.5e-4))],
    "srresnet": [(10**6, 16, 96, {"l2"}, (1e-4, 1e-4, 1e-4))],
    "srgan": [
        (10**6, 16, 96, {"l2"}, (1e-4, 1e-4, 1e-4)),
        (2 * 10**5, 16, 96, {"perceptual", "adversarial"}, (1e-4, 1e-5, 1e-5)),
    ],
    "johnson_x4": [(200_000, 4, 288, {"perceptual"}, (1e-3, 1e-3, 1e-3))],
    "johnson_x8": [(200_000, 4, 288, {"perceptual"}, (1e-3, 1e-3, 1e-3))],
    "johnson_style": [(40_000, 4, 256, {"perceptual", "style", "total_variation"}, (1e-3, 1e-3, 1e-3))],
    "msrresnet": [(10**6, 16, 128, {"l1"}, (2e-4, 2e-4, 1e-7))],
    "imdn": [(10**6, 16, 192, {"l1"}, (2e-4, 0.5e-4, 2e-4 / 16))],
    "rfdn": [
        (10**6, 64, 256, {"l1"}, (5e-4, 1.25e-4, 5e-4 / 16)),
        (200_000, 64, 256, {"l2"}, (1e-4, 1e-4, 1e-4)),
    ],
    "pan": [(10**6, 32, 256, {"l1"}, (7e-4, 7e-4, 1e-7))],
    "latticenet": [(10**6, 16, 192, {"l1"}, (2e-4, 0.5e-4, 2e-4 / 16))],
    "bicubicpp": 3 * [(50_000, 16, 324, {"l2"}, (5e-4, 5e-4, 1e-8))],
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_the_papers(name: str) -> None:
    recipe = load_recipe(name)
    assert len(recipe.stages) == len(STAGES[name])
    for number, (stage, (steps, batch, side, losses, expected)) in enumerate(
        zip(recipe.stages, STAGES[name], strict=True)
    ):
        assert (stage.steps, stage.batch, hr(recipe, number)) == (steps, batch, side)
        assert stage.losses.keys() == losses
        assert rates(stage, 0, steps // 2, steps - 1) == pytest.approx(expected, abs=3e-8, rel=0.01)
        assert (stage.warmup, stage.ema) == (0, 0.999 if name == "msrresnet" else 0)
        assert stage.weight_decay == (1e-4 if name == "vdsr" else 0)


@pytest.mark.parametrize("name", ["vdsr", "carn"])
def test_one_set_of_weights_learns_three_scales(name: str) -> None:
    recipe = load_recipe(name)
    assert [stage.scales for stage in recipe.stages] == [[2, 3, 4]]
    assert recipe.network.build().scales == (2, 3, 4)


@pytest.mark.parametrize("name", PAPERS)
def test_optimisers_are_the_papers(name: str) -> None:
    first = load_recipe(name).stages[0]
    assert first.optimizer == ("sgd" if name in ("srcnn", "fsrcnn", "vdsr") else "adam")
    assert first.momentum == 0.9
    assert first.beta2 == (0.99 if name.startswith(("classsr", "msrresnet", "pan")) else 0)
    assert bool(first.rates) == (name in ("srcnn", "fsrcnn"))
    assert (first.clip_norm, first.clip_value) == (10.0 if name == "carn" else 0, 0)
    assert (first.clip_step > 0) == (name == "vdsr")


@pytest.mark.parametrize(("name", "last"), [("srcnn", "reconstruction"), ("fsrcnn", "upsampler")])
def test_the_last_layer_and_all_biases_learn_slowly(name: str, last: str) -> None:
    recipe = load_recipe(name)
    assert any(path.startswith(last) for path, _ in recipe.network.build().named_parameters())
    assert all(stage.rates == {last: 0.1, "bias": 0.1} for stage in recipe.stages)


def test_the_rate_of_msrresnet_starts_again_every_250000_steps() -> None:
    (stage,) = load_recipe("msrresnet").stages
    for start in range(0, 10**6, 250_000):
        assert rates(stage, start, start + 249_999) == pytest.approx([2e-4, 1e-7], abs=1e-10)


def test_johnson_blurs_before_bicubic_and_bicubicpp_compresses_after_it() -> None:
    for name in ("johnson_x4", "johnson_x8"):
        blur, bicubic = load_recipe(name).data.degradation
        assert (blur["name"], blur["sigma"], bicubic["name"]) == ("gaussian_blur", (1.0, 1.0), "resize")
    bicubic, jpeg = load_recipe("bicubicpp").data.degradation
    assert (bicubic["kernel"], jpeg["name"], jpeg["quality"]) == (["bicubic"], "jpeg", (90, 90))
    others = [name for name in PAPERS if not name.startswith(("johnson_x", "bicubicpp"))]
    assert not any(load_recipe(name).data.degradation for name in others)


def test_features_are_those_of_the_papers() -> None:
    srgan = load_recipe("srgan").stages[1].losses
    assert srgan["perceptual"]["layers"] == ["relu5_4"]
    assert srgan["perceptual"]["weight"] == pytest.approx(1 / 12.75**2, abs=2e-4)
    assert srgan["adversarial"] == {"weight": 1e-3, "kind": "standard"}
    for name in ("johnson_x4", "johnson_x8", "johnson_style"):
        content = load_recipe(name).stages[0].losses["perceptual"]
        assert (content["vgg"], content["layers"]) == ("vgg16", ["relu2_2"])
    style = load_recipe("johnson_style").stages[0].losses["style"]
    assert style["layers"] == ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]


def test_what_happens_to_networks_between_stages() -> None:
    bicubicpp = load_recipe("bicubicpp")
    assert (bicubicpp.network.arguments["channels"], bicubicpp.network.arguments["bias"]) == (34, True)
    assert [stage.before for stage in bicubicpp.stages] == [
        [],
        [{"name": "prune", "channels": 32, "by": "validation"}],
        [{"name": "remove_biases"}],
    ]
    assert [stage.before for stage in load_recipe("fimdn").stages] == [[], [], [{"name": "merge"}], []]
    uestc = load_recipe("uestc_medialab")
    assert uestc.network.arguments["bases"] == 3
    assert [stage.before for stage in uestc.stages][1:] == 2 * [[{"name": "add_bases", "count": 1}]]
    assert uestc.stages[-1].after == [{"name": "merge"}]


@pytest.mark.parametrize(("base", "rate"), [("fsrcnn", 1e-3), ("carn", 2e-4), ("srresnet", 2e-4)])
def test_classsr_trains_branches_by_difficulty_and_then_what_chooses_them(base: str, rate: float) -> None:
    recipe = load_recipe(f"classsr_{base}")
    assert recipe.network.build().branches is not None
    *branches, last, joint = recipe.stages
    for number, stage in enumerate(branches):
        assert (stage.module, stage.difficulty and stage.difficulty["part"]) == (f"branches.{number}", number)
        assert (stage.steps, stage.batch, stage.patch, stage.losses) == (500_000, 16, 32, {"l1": 1.0})
        assert rates(stage, 0, 499_999) == pytest.approx([rate, 1e-7], abs=1e-9)
    assert (last.frozen, last.module, last.difficulty) == (["branches"], "", None)
    assert (last.steps, last.batch, last.patch) == (200_000, 96, 32)
    assert last.losses == {"l1": 1000, "class_loss": 0.5, "average_loss": 3}
    assert rates(last, 0, 250_000) == pytest.approx([2e-4, 1e-4], rel=1e-3)  # half of a cosine of 500,000
    assert replace(joint, frozen=["branches"]) == last


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> list[str]:
    """Two to train on and a small one to validate on."""
    root = tmp_path_factory.mktemp("photographs")
    for part, name, side in (("train", "colosseum", 200), ("train", "sign", 200), ("validation", "cat", 48)):
        (root / part).mkdir(exist_ok=True)
        write(
            root / part / f"{name}.png",
            Picture(np.ascontiguousarray(read(examples / f"{name}.webp").rgb8()[:side, :side])),
        )
    return [f'data.train="{root}/train"', f'data.validation="{root}/validation"']


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The first three convolutions, at random."""
    torch.manual_seed(0)
    state = {}
    for place, (inputs, outputs) in zip((0, 2, 5), pairwise((3, 64, 64, 128)), strict=True):
        state[f"features.{place}.weight"] = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
        state[f"features.{place}.bias"] = torch.zeros(outputs)
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file(state, path)
    return str(path)


SMALL: dict[str, dict[str, Any]] = {
    "bicubicpp": {"channels": 6},
    "carn": {"channels": 8},
    "classsr_carn": {"channels": [8, 8, 16]},
    "classsr_fsrcnn": {"channels": [4, 6, 8]},
    "classsr_srresnet": {"channels": [4, 6, 8]},
    "fimdn": {"channels": 8, "blocks": 1},
    "fsrcnn": {"channels": 8, "shrunk": 4, "mapping": 1},
    "imdn": {"channels": 16, "blocks": 1},
    "johnson_style": {"channels": 4, "blocks": 1},
    "johnson_x4": {"channels": 4, "blocks": 1},
    "johnson_x8": {"channels": 4, "blocks": 1},
    "latticenet": {"channels": 16, "inner": 8, "blocks": 2},
    "msrresnet": {"channels": 8, "blocks": 1},
    "pan": {"channels": 8, "blocks": 1},
    "rfdn": {"channels": 8, "blocks": 1},
    "srcnn": {"channels": [8, 4]},
    "srgan": {"channels": 8, "blocks": 1},
    "srresnet": {"channels": 8, "blocks": 1},
    "uestc_medialab": {"channels": 8, "blocks": 1},
    "vdsr": {"channels": 8, "depth": 3},
}


def shrunk(name: str, vgg: str) -> list[str]:
    """What makes a recipe's networks, patches and lengths tiny and leaves all else."""
    changes = [f"network.{argument}={value}" for argument, value in SMALL.get(name, {}).items()]
    recipe = load_recipe(name)
    side = 16 if "johnson_style" in name else 8
    for number, stage in enumerate(recipe.stages):
        key = f"stage.{number}"
        changes += [f"{key}.steps={1 + number % 2}", f"{key}.batch=2", f"{key}.patch={side}"]
        changes += [f"{key}.precision=32-true"]
        for loss in ("perceptual", "style"):
            if loss in stage.losses:
                changes += [f"{key}.losses.{loss}.weights={vgg}", f"{key}.losses.{loss}.layers=conv2_1"]
        if "adversarial" in stage.losses:
            changes += [f"{key}.losses.adversarial.{option}" for option in ("channels=2", "hidden=4")]
        for place, action in enumerate(stage.before):
            if isinstance(action, dict) and action["name"] == "prune":
                changes += [f"{key}.before.{place}.channels=4"]
    return changes


@pytest.mark.parametrize("name", PAPERS)
def test_every_recipe_runs_from_its_first_stage_to_its_last(
    tmp_path: Path, photographs: list[str], vgg: str, name: str
) -> None:
    recipe = load_recipe(name, [*photographs, *shrunk(name, vgg)])
    _, network = load_checkpoint(train(recipe, tmp_path / "run", quiet=True))
    assert all(weight.isfinite().all() for weight in network.parameters())
    if name in ("fimdn", "uestc_medialab"):  # what only training needs is merged
        assert all(weight.ndim < 5 and "horizontal" not in key for key, weight in network.named_parameters())
    if name == "bicubicpp":
        assert {len(weight) for key, weight in network.named_parameters() if "tail" not in key} == {4}
        assert not any(key.endswith("bias") for key, _ in network.named_parameters())
