from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks.test_classsr import small
from upres.evaluation.methods import in_self_ensemble, name_of, open_method
from upres.images import make_lr
from upres.metrics import psnr
from upres.networks import NetworkSpec
from upres.networks.checkpoint import save_checkpoint

ROUTER, SMALL, LARGE = 48, 10**7, 10**8  # multiply-adds by LR pixel of the fixture's bundle


@pytest.fixture(scope="module")
def pictures() -> dict[str, NDArray[np.uint8]]:
    """A blank one, a noisy one, and one that is blank but for its right quarter."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    quarter = np.full_like(noise, 127)
    quarter[:, 72:] = noise[:, 72:]
    return {"blank": np.full_like(noise, 127), "noise": noise, "quarter": quarter}


@pytest.mark.usefixtures("cheap_windows")
def test_what_a_bundle_spends_is_told_by_picture(two_branches: Path, pictures: dict[str, NDArray[np.uint8]]) -> None:
    method = open_method(str(two_branches), None)
    assert (method.name, method.scale) == ("two_x2", 2)
    made = {name: method.run(name, lr) for name, lr in pictures.items()}
    assert method.multiply_adds
    assert method.multiply_adds["blank"] == ROUTER + SMALL
    assert method.multiply_adds["noise"] == ROUTER + LARGE
    # Windows see 4 pixels around what they keep, at most on both sides of each.
    assert ROUTER + SMALL + LARGE / 4 < method.multiply_adds["quarter"] < ROUTER + SMALL + LARGE / 2
    assert np.array_equal(made["blank"], np.full((192, 192, 3), 127))


@pytest.mark.usefixtures("cheap_windows")
@pytest.mark.parametrize(("effort", "least", "most"), [(0, 0, 0), (50, 0.2, 0.5), (100, 0.95, 1)])
def test_every_effort_can_be_judged(
    two_branches: Path, pictures: dict[str, NDArray[np.uint8]], effort: float, least: float, most: float
) -> None:
    method = open_method(str(two_branches), None, effort=effort)
    sr = method.run("noise", pictures["noise"])
    dimmed = np.repeat(np.repeat(pictures["noise"], 2, 0), 2, 1) * 0.5 > sr - 1
    assert least <= dimmed.all(2).mean().round(2) <= most


def test_networks_of_one_cost_tell_none(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8})
    save_checkpoint(tmp_path / "mine.safetensors", spec, spec.build())
    for subject in ("bicubic", "fast_x2", str(tmp_path / "mine.safetensors"), str(tmp_path)):
        method = open_method(subject, 2, effort=50)
        assert method.multiply_adds is None


def test_what_classsr_spends_is_told_by_picture(tmp_path: Path) -> None:
    spec = NetworkSpec("classsr", {"scale": 4, "base": "fsrcnn", "channels": [4, 8, 12]})
    save_checkpoint(tmp_path / "mine.safetensors", spec, small())
    method = open_method(str(tmp_path / "mine.safetensors"), None)
    for name, brightness in (("bright", 230), ("dark", 25)):
        method.run(name, np.full((32, 32, 3), brightness, np.uint8))
    assert method.multiply_adds
    assert method.multiply_adds["bright"] < method.multiply_adds["dark"]


def test_a_self_ensemble_does_not_mind_how_the_image_is_turned(photograph: NDArray[np.uint8]) -> None:
    lr, hr = make_lr(photograph, 2)
    alone = open_method("fast_x2", None)
    ensemble = in_self_ensemble(alone)
    sr = ensemble.run("a", lr)
    assert ensemble.name == "fast_x2+"
    assert np.array_equal(
        sr[:, ::-1].swapaxes(0, 1), ensemble.run("a", np.ascontiguousarray(lr[:, ::-1].swapaxes(0, 1)))
    )
    assert psnr(sr, hr, shave=2) > psnr(alone.run("a", lr), hr, shave=2) + 0.01


def test_what_trainings_made_is_called_as_their_folders_are(tmp_path: Path) -> None:
    assert name_of(tmp_path / "run1" / "checkpoint.safetensors") == "run1"
    assert name_of(tmp_path / "run1" / "mine.pth") == "mine"
