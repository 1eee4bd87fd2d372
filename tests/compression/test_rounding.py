from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from upres.compression import quantise as quantisation
from upres.compression.quantise import quantise
from upres.compression.rounding import _rounded
from upres.images import read
from upres.networks import Network
from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.espcn import ESPCN


@pytest.fixture(scope="module")
def patches(examples: Path) -> list[Tensor]:
    """Of photographs, (1, 3, 48, 48): many to calibrate, and one more to see what it gained."""
    pictures = [torch.tensor(read(examples / f"{name}.webp").rgb8()) for name in ("colosseum", "sign", "cat")]
    return [
        picture[row : row + 96 : 2, column : column + 96 : 2].permute(2, 0, 1)[None] / 255
        for picture in pictures
        for row, column in ((0, 0), (0, 128), (128, 0), (128, 128))
    ]


@torch.no_grad()
def off(quantised: Network, exact: Network, lr: Tensor) -> float:
    """How far the result is from the exact one, mean square."""
    return float((quantised.eval()(lr) - exact.eval()(lr)).square().mean())


@pytest.mark.parametrize(
    "make", [partial(BicubicPlusPlus, 2, bias=True), partial(BicubicPlusPlus, 2, anchor=True), partial(ESPCN, 2)]
)
def test_weights_that_make_up_for_each_other_are_nearer_than_the_nearest(
    make: Callable[[], Network], patches: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = make()
    fitted = quantise(network, patches[:-1])
    monkeypatch.setattr(quantisation, "fit_integers", lambda *_: None)
    nearest = quantise(network, patches[:-1])
    assert off(fitted, network, patches[-1]) < 0.8 * off(nearest, network, patches[-1])


def test_no_integers_within_one_of_the_fitted_ones_are_much_better() -> None:
    generator = torch.Generator().manual_seed(0)
    step = torch.tensor([[0.1]], dtype=torch.float64)
    shifts = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)] * 4) * step
    lost_by_fitted = lost_by_nearest = lost_by_best = 0.0
    for _ in range(20):
        inputs = torch.randn(4, 9, generator=generator, dtype=torch.float64)
        inputs = inputs + 3 * inputs[0]  # columns that depend on each other
        gram = inputs @ inputs.T
        free = torch.randn(1, 4, generator=generator, dtype=torch.float64)

        def lost(weights: Tensor, free: Tensor = free, inputs: Tensor = inputs) -> Tensor:
            return ((weights - free) @ inputs).square().sum(1)

        fitted = _rounded(free, gram, 4, step, torch.empty(0, 2, dtype=torch.long), -128, 127)
        torch.testing.assert_close(fitted / step, (fitted / step).round())
        lost_by_fitted += float(lost(fitted))
        lost_by_nearest += float(lost((free / step).round() * step))
        lost_by_best += float(lost(fitted + shifts).min())
    assert lost_by_best <= lost_by_fitted < 0.5 * lost_by_nearest
    assert lost_by_fitted < 3 * lost_by_best


def test_weights_stay_in_their_range_and_the_bias_makes_up_for_it() -> None:
    gram = torch.eye(3, dtype=torch.float64) + 1
    free, step = torch.tensor([[5.0, -7.0, 0.3]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
    fitted = _rounded(free, gram, 2, step, torch.empty(0, 2, dtype=torch.long), -3, 3)
    assert fitted[0, :2].tolist() == [3.0, -3.0]
    assert fitted[0, 2] not in (0.3, 0.0)  # no integer, and no longer what it was
