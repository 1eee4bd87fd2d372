import pytest
import torch

from upres.training.losses import LOSSES, charbonnier, luma, luma_l1


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_least_for_equal_images_and_have_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    hr, sr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8, requires_grad=True)
    loss = LOSSES[name](sr, hr)
    assert loss.ndim == 0
    assert loss.item() > LOSSES[name](hr, hr).item()
    (gradient,) = torch.autograd.grad(loss, sr)
    assert gradient.abs().sum() > 0


def test_values_by_hand() -> None:
    hr = torch.zeros(1, 3, 2, 2)
    sr = hr.clone()
    sr[:, 1] = 0.5
    assert float(LOSSES["l1"](sr, hr)) == pytest.approx(0.5 / 3)
    assert float(LOSSES["l2"](sr, hr)) == pytest.approx(0.25 / 3)
    assert float(luma_l1(sr, hr)) == pytest.approx(0.5 * 0.587)
    assert float(LOSSES["luma_l2"](sr, hr)) == pytest.approx((0.5 * 0.587) ** 2)
    assert float(charbonnier(hr, hr)) == pytest.approx(1e-3)
    assert luma(torch.ones(1, 3, 1, 1)).item() == pytest.approx(1)
