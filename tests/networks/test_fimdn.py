import pytest
import torch
from torch import nn

from upres.compression.reparameterise import merge
from upres.networks.count import count
from upres.networks.fimdn import FIMDN
from upres.networks.imdn import IMDN


def test_merged_it_costs_what_the_report_says() -> None:
    counts = count(merge(FIMDN()))  # AiriA_CG in the table of AIM 2020
    assert counts.parameters == 687_056
    assert counts.multiply_adds / 1e9 == pytest.approx(44.98, abs=0.005)
    assert counts.activations / 1e6 == pytest.approx(118.49, abs=0.005)
    assert counts.convolutions == 33


def test_what_trains_has_three_kernels_for_one() -> None:
    extra = 6 * 6 * (64 * 64 + 48 * 64 + 48 * 64 + 48 * 16)  # 1x3 and 3x1, in six blocks
    assert count(FIMDN()).parameters == 687_056 + extra


def test_merged_it_is_an_imdn() -> None:
    torch.manual_seed(0)
    network = FIMDN(2, channels=8, blocks=2)
    plain = IMDN(2, channels=8, blocks=2, attention=False, concatenation=False)
    plain.load_state_dict(merge(network).state_dict())
    lr = torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(plain(lr), network(lr), atol=1e-5, rtol=1e-5)
    assert {type(module) for module in merge(network).modules() if not list(module.children())} <= {
        nn.Conv2d,
        nn.LeakyReLU,
        nn.Identity,
        nn.PixelShuffle,
    }
