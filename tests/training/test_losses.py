import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from upres import metrics
from upres.networks import NetworkSpec
from upres.training.losses import LOSSES, Batch, Criterion, make_loss
from upres.training.losses.pixel import charbonnier, fft, luma, luma_l1, ssim, total_variation

ON_PIXELS = [name for name, kind in LOSSES.items() if not isinstance(kind, type)]


@pytest.mark.parametrize("name", [name for name in ON_PIXELS if name != "total_variation"])
def test_losses_are_least_for_equal_images_and_have_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    hr, sr = torch.rand(2, 3, 12, 12), torch.rand(2, 3, 12, 12, requires_grad=True)
    loss = LOSSES[name](sr, hr)
    assert loss.ndim == 0
    assert loss.item() > LOSSES[name](hr, hr).item()
    (gradient,) = torch.autograd.grad(loss, sr)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", ON_PIXELS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    hr, sr = torch.rand(2, 1, 3, 12, 12, dtype=torch.float64)
    sr.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, hr), sr, eps=1e-7, fast_mode=True)


def test_values_by_hand() -> None:
    hr = torch.zeros(1, 3, 2, 2)
    sr = hr.clone()
    sr[:, 1] = 0.5
    assert float(LOSSES["l1"](sr, hr)) == pytest.approx(0.5 / 3)
    assert float(LOSSES["l2"](sr, hr)) == pytest.approx(0.25 / 3)
    assert float(luma_l1(sr, hr)) == pytest.approx(0.5 * 0.587)
    assert float(LOSSES["luma_l2"](sr, hr)) == pytest.approx((0.5 * 0.587) ** 2)
    assert float(charbonnier(hr, hr)) == pytest.approx(1e-3)
    assert float(charbonnier(hr, hr, epsilon=0.25)) == pytest.approx(0.25)
    assert luma(torch.ones(1, 3, 1, 1)).item() == pytest.approx(1)


def test_total_variation_is_the_slope() -> None:
    ramp = torch.arange(4.0).expand(1, 3, 5, 4)
    assert float(total_variation(ramp, ramp)) == pytest.approx(1)
    assert float(total_variation(3 * ramp, ramp, squared=True)) == pytest.approx(9)
    assert float(total_variation(torch.full_like(ramp, 7), ramp)) == 0


@pytest.mark.parametrize("on", ["rgb", "y"])
def test_ssim_is_the_metrics(photograph: NDArray[np.uint8], on: Any) -> None:
    noisy = np.random.default_rng(0).normal(photograph, 12).clip(0, 255)
    sr, hr = (torch.tensor(image).double().permute(2, 0, 1)[None] / 255 for image in (noisy, photograph))
    expected = metrics.ssim(noisy, photograph, shave=0, on=on, round_images=False)
    assert expected < 0.95
    assert 1 - float(ssim(sr, hr, on=on)) == pytest.approx(expected, abs=1e-9)
    assert 1 - float(ssim(sr.float(), hr.float(), on=on)) == pytest.approx(expected, abs=1e-5)


def test_fft_is_the_mean_of_both_parts_of_numpys() -> None:
    sr, hr = np.random.default_rng(0).random((2, 2, 3, 6, 5))
    difference = np.fft.fft2(sr - hr)
    expected = (np.abs(difference.real).mean() + np.abs(difference.imag).mean()) / 2
    assert float(fft(torch.from_numpy(sr), torch.from_numpy(hr))) == pytest.approx(expected)


def test_a_criterion_weighs_its_losses() -> None:
    sr, hr = torch.rand(2, 1, 3, 12, 12)
    criterion = Criterion({"l1": 0.5, "charbonnier": {"weight": 2, "epsilon": 0.1}, "l2": {}}, torch.nn.Identity(), 12)
    losses = criterion(Batch(sr, sr, hr))
    assert losses["l1"] == 0.5 * LOSSES["l1"](sr, hr)
    assert losses["charbonnier"] == 2 * charbonnier(sr, hr, epsilon=0.1)
    assert losses["l2"] == LOSSES["l2"](sr, hr)


def test_a_loss_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "mine", lambda sr, hr: (sr - hr).abs().mean((2, 3)))
    with pytest.raises(ValueError, match=r"mine: a loss is one number for a batch, not \(2, 3\)"):
        Criterion({"mine": 1.0}, torch.nn.Identity(), 8)


def test_patches_too_small_for_a_loss_are_refused_before_training() -> None:
    with pytest.raises(ValueError, match="ssim: SSIM needs HR patches of 11 pixels or more, not 10"):
        Criterion({"ssim": 1.0}, torch.nn.Identity(), 10)


@pytest.mark.parametrize("name", ["class_loss", "average_loss"])
def test_losses_of_modules_that_a_network_lacks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the network has no module class_module"):
        Criterion({name: 1.0}, torch.nn.Linear(1, 1), 16)


def batch_of(watched: dict[str, Tensor]) -> Batch:
    return Batch(torch.zeros(1), torch.zeros(1), torch.zeros(1), watched)


def test_classsrs_losses_are_the_authors(shared: Any) -> None:
    golden = json.loads((shared / "reference" / "golden" / "classsr_structure.json").read_text())["losses"]
    logits = torch.tensor(golden["probabilities"], dtype=torch.float64).log()
    for name in ("class_loss", "average_loss"):
        assert float(make_loss(name, {})(batch_of({"class_module": logits}))) == pytest.approx(golden[name], abs=1e-6)


def test_classsrs_losses_at_their_ends() -> None:
    sure = torch.eye(4) * 1000  # each of four sub-images surely in a class of its own
    same = torch.zeros(4, 4)
    same[:, 1] = 1000
    unsure = torch.zeros(4, 4)
    values = {
        (name, place): float(make_loss(name, {})(batch_of({"class_module": logits})))
        for name in ("class_loss", "average_loss")
        for place, logits in (("sure", sure), ("same", same), ("unsure", unsure))
    }
    assert values == {
        ("class_loss", "sure"): 0,
        ("class_loss", "same"): 0,
        ("class_loss", "unsure"): 3,
        ("average_loss", "sure"): 0,
        ("average_loss", "same"): 1,
        ("average_loss", "unsure"): 0,
    }


def test_the_grid_loss_sees_what_repeats_with_every_lr_pixel() -> None:
    loss = make_loss("grid", {})
    loss.prepare(NetworkSpec("espcn", {"scale": 4}).build(), 96)
    lr, hr = torch.zeros(2, 3, 24, 24), torch.rand(2, 3, 96, 96)
    noise = 0.1 * torch.randn(2, 3, 96, 96)
    grid = 0.1 * torch.randn(1, 1, 4, 4).repeat(1, 1, 24, 24)
    expected = float((grid - grid.mean()).abs().mean())
    assert float(loss(Batch(lr, hr + grid, hr))) == pytest.approx(expected, rel=1e-4)
    assert float(loss(Batch(lr, hr + 0.1, hr))) < 1e-6
    assert float(loss(Batch(lr, hr + noise, hr))) < 0.5 * expected
    finer = grid[..., :2, :2]  # of a step at x2
    expected = float((finer - finer.mean()).abs().mean())
    batch = Batch(torch.zeros(2, 3, 48, 48), hr + finer.repeat(1, 1, 48, 48), hr)
    assert float(loss(batch)) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="LR patches of 3 pixels or more, not 2"):
        loss.prepare(NetworkSpec("espcn", {"scale": 4}).build(), 8)
