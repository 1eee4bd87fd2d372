import json
from pathlib import Path

import torch
from torch import nn

from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.count import Counts, count


def test_bicubicpp_counts_as_the_challenges_counter_does(shared: Path) -> None:
    golden = json.loads((shared / "reference/golden/costs_256.json").read_text())["networks"]["bicubicpp_x3"]
    assert count(BicubicPlusPlus(), 256, 256) == Counts(
        golden["parameters"], golden["flops"], golden["activations"], golden["conv_layers"]
    )


class _OfEachKind(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1)
        self.rectify = nn.Sequential(nn.BatchNorm2d(8), nn.PReLU(8), nn.ELU(), nn.ReLU6(), nn.ReLU(inplace=True))
        self.grouped = nn.Conv2d(8, 16, 3, padding=1, groups=4)
        self.dense = nn.Linear(16, 5)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        grouped = self.grouped(self.rectify(self.up(lr))).sigmoid() * 2
        dense: torch.Tensor = self.dense(grouped.mean((2, 3)))
        return dense


def test_every_kind_of_layer_counts_as_the_challenge_says() -> None:
    pixels = 10 * 14  # of the result; the LR image has 5 x 7
    transposed = 4 * 4 * 3 * 8 * pixels  # the full kernel at every output pixel
    normalised_and_rectified = (2 + 4) * 8 * pixels
    grouped = 3 * 3 * 8 * 16 // 4 * pixels
    counts = count(_OfEachKind(), 5, 7)
    assert counts.multiply_adds == transposed + normalised_and_rectified + grouped + 16 * 5
    assert counts.activations == (8 + 16) * pixels
    assert counts.convolutions == 2


def test_counting_leaves_the_network_as_it_was() -> None:
    network = BicubicPlusPlus().train()
    count(network)
    assert network.training
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
