import pytest
import torch

from upres.compression.reparameterise import merge
from upres.networks.count import count
from upres.networks.maffsrn import MAFFSRN, maffsrn_l


@pytest.mark.parametrize(("scale", "thousands"), [(2, 402), (3, 418), (4, 441)])
def test_parameters_are_the_papers(scale: int, thousands: int) -> None:
    assert count(merge(MAFFSRN(scale))).parameters // 1000 in (thousands, thousands - 1)


def test_costs_are_those_of_the_challenge() -> None:
    counts = count(merge(MAFFSRN()))  # MLVC in the table of AIM 2020
    assert counts.parameters == 441_194
    assert counts.multiply_adds / 1e9 == pytest.approx(27.11, abs=0.01)
    assert counts.activations / 1e6 == pytest.approx(212.24, abs=0.01)
    assert counts.convolutions == 159


def test_weight_normalisation_merges() -> None:
    torch.manual_seed(0)
    network = MAFFSRN(2, channels=8, groups=1)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.rand_like(parameter)
    merged = merge(network)
    lr = torch.rand(1, 3, 14, 19)
    torch.testing.assert_close(merged(lr), network.eval()(lr), atol=1e-5, rtol=1e-5)
    lengths = 8 + 3 * 8 + 2 * 12
    assert sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in merged.parameters()) == lengths


def test_the_large_one_has_twice_as_many_groups() -> None:
    small, large = count(MAFFSRN()), count(maffsrn_l())
    assert large.convolutions - small.convolutions == small.convolutions - 3  # head and tail
