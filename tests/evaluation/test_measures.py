import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres.errors import MissingExtra, UpresError
from upres.evaluation.measures import MEASURES, Models, Settings, rmse_and_pi
from upres.metrics import MaModel, NiqeModel, ma, niqe, pirm_luma
from upres.metrics.forest import Forest


@pytest.fixture
def forests(tmp_path: Path) -> Path:
    """A model of Ma's metric that says 3 for softly varying images and 7 for others."""
    leaf = np.array([-1])
    constant = (leaf, leaf, np.array([0]), np.array([0.0]), np.array([1.0]))
    split = (
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.array([3, 0, 0]),
        np.array([2.0, 0, 0]),
        np.array([0.0, 7, 3]),
    )
    trees = [Forest.join([tree]) for tree in (split, constant, constant)]
    MaModel((trees[0], trees[1], trees[2]), np.array([0.0, 1.0, 0.0, 0.0])).save(tmp_path / "forests.npz")
    return tmp_path / "forests.npz"


def test_pi_joins_ma_and_niqe_on_the_shaved_luma(forests: Path, photograph: NDArray[np.uint8]) -> None:
    large = np.concatenate([photograph, photograph[::-1]])
    models = Models(ma_source=str(forests))
    expected_ma = ma(pirm_luma(large), MaModel.load(forests))
    expected = ((10 - expected_ma) + niqe(large, shave=4, model=NiqeModel.own())) / 2
    assert MEASURES["pi"](Settings(2, models=models)).compute(large, large) == pytest.approx(expected)
    assert MEASURES["ma"](Settings(2, models=models)).compute(large, large) == expected_ma
    error, index = rmse_and_pi(models)(large, large)
    assert error == 0
    assert index == pytest.approx(expected)


def test_conventions_say_what_numbers_rest_on(forests: Path) -> None:
    measure = MEASURES["pi"](Settings(3, models=Models(ma_source=str(forests))))
    assert "4 pixels shaved" in measure.convention
    assert "that of upres" in measure.convention
    assert str(forests) in measure.convention
    assert "rounded), 3 pixels" in MEASURES["psnr_y"](Settings(3, round_luma=True)).convention


def test_published_models_are_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda _: tmp_path)
    with pytest.raises(UpresError, match="upres metrics fetch ma"):
        MEASURES["ma"](Settings(4))
    with pytest.raises(UpresError, match="upres metrics fetch niqe"):
        MEASURES["niqe"](Settings(4, models=Models("published")))


def test_lpips_gets_what_its_authors_package_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package: a stand-in that tells what it is given."""
    seen: dict[str, Any] = {}

    class Distance(torch.nn.Module):
        def __init__(self, net: str, verbose: bool) -> None:
            super().__init__()
            seen["net"] = net

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            seen["shape"], seen["range"] = tuple(first.shape), (float(first.min()), float(second.max()))
            return (first - second).abs().mean()[None]

    package = ModuleType("lpips")
    package.LPIPS = Distance  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", package)
    measure = MEASURES["lpips"](Settings(4))
    sr, hr = np.zeros((40, 32, 3), np.uint8), np.full((40, 32, 3), 255, np.uint8)
    assert measure.compute(sr, hr) == 2
    assert seen == {"net": "alex", "shape": (1, 3, 32, 24), "range": (-1.0, 1.0)}


def test_without_lpips_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(MissingExtra, match=r"upres\[lpips\]"):
        MEASURES["lpips"](Settings(4))
