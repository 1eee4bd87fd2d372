import pytest
import torch

from upres.networks.count import count
from upres.networks.innopeak import InnoPeak


def test_it_costs_what_the_report_says() -> None:
    counts = count(InnoPeak())  # InnoPeak_SR in the table of AIM 2020; the ReLU of 16 runs of a block are counted
    assert counts.parameters == 361_840
    assert counts.multiply_adds / 1e9 == pytest.approx(81.72, abs=0.005)
    assert counts.activations / 1e6 == pytest.approx(145.75, abs=0.005)
    assert counts.convolutions == 35


def test_recursions_are_the_same_blocks_again() -> None:
    torch.manual_seed(0)
    once, twice = InnoPeak(2, 8, blocks=2, recursions=1), InnoPeak(2, 8, blocks=2, recursions=2)
    twice.load_state_dict(once.state_dict())
    features = torch.rand(1, 8, 6, 5)
    torch.testing.assert_close(twice.deep(features), once.deep(once.deep(features)))
