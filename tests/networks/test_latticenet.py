import json
from pathlib import Path

import pytest
import torch

from tests.networks.test_load import as_published
from upres.networks import load
from upres.networks.count import count
from upres.networks.latticenet import PUBLISHED, CombinationCoefficient, LatticeNet


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_parameters_and_multiply_adds_are_the_papers(shared: Path, scale: int) -> None:
    published = json.loads((shared / "reference/golden/published.json").read_text())["lightweight_table"]["rows"]
    (row,) = (row for row in published if row["method"] == "LatticeNet" and row["scale"] == scale)
    height, width = 720 // scale, 1280 // scale
    counts = count(LatticeNet(scale), height, width)
    rectified = 4 * 2 * (48 + 48) + 3 * 64  # values a pixel that the paper does not count
    multiply_adds = (counts.multiply_adds / (height * width) - rectified) * 1280 * 720 / scale**2
    assert round(counts.parameters / 1000) == row["params_K"]
    assert multiply_adds / 1e9 == pytest.approx(row["mult_adds_G"], abs=0.1)


def test_coefficients_are_of_the_mean_and_the_deviation_of_a_channel() -> None:
    torch.manual_seed(0)
    coefficient = CombinationCoefficient(16, reduction=4)
    features = torch.rand(2, 16, 6, 5)
    weights = coefficient(features)
    assert weights.shape == (2, 16, 1, 1)
    assert weights.min() > 0
    assert weights.max() < 1
    shuffled = features.flatten(2)[..., torch.randperm(30)].reshape(features.shape)
    torch.testing.assert_close(coefficient(shuffled), weights)
    assert not torch.allclose(coefficient(features + 1), weights)  # another mean
    narrowed = features.mean((2, 3), keepdim=True) + (features - features.mean((2, 3), keepdim=True)) / 2
    assert not torch.allclose(coefficient(narrowed), weights)  # another deviation


def test_a_flat_picture_has_a_gradient() -> None:
    network = LatticeNet(2, channels=16, inner=8, blocks=2)
    network(torch.full((1, 3, 1, 1), 0.5)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_the_authors_mean_shifts_are_no_part_of_the_weights(tmp_path: Path) -> None:
    network = LatticeNet(3, channels=16, inner=8)
    state = as_published(PUBLISHED[0], network.state_dict())
    assert state
    assert "body_unit4.fea_ca2.conv_std.2.bias" in state
    for shift in ("sub_mean", "add_mean"):
        state |= {f"{shift}.weight": torch.eye(3)[:, :, None, None], f"{shift}.bias": torch.zeros(3)}
    torch.save(state, tmp_path / "a.pt")
    assert load(tmp_path / "a.pt")[0].name == "latticenet"
