"""What papers say of the weights that training starts from."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from upres.networks import Network, NetworkSpec


def initialised(name: str, arguments: dict[str, Any]) -> Network:
    torch.manual_seed(0)
    network = NetworkSpec(name, arguments).build().requires_grad_(False)
    network.initialise()
    return network


def kernels(network: Network, kind: type[nn.Module]) -> list[Tensor]:
    return [layer.get_parameter("weight") for layer in network.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("name", "arguments", "share"),
    [("vdsr", {"depth": 4}, 1.0), ("msrresnet", {"blocks": 1}, 0.1), ("fsrcnn_classsr", {}, 0.1)],
)
def test_deviations_are_those_of_he(name: str, arguments: dict[str, Any], share: float) -> None:
    network = initialised(name, arguments)
    for kernel in kernels(network, nn.Conv2d):
        assert float(kernel.std()) == pytest.approx(share * (2 / kernel[0].numel()) ** 0.5, rel=0.2)
    assert not any(value.any() for key, value in network.named_parameters() if "convolutions" in key and "bias" in key)


def test_fsrcnn_starts_from_the_deviations_of_its_files() -> None:
    network = initialised("fsrcnn", {"shrunk": 16})  # in the files, 16 channels where the paper has 12
    deviations = [float(kernel.std()) for kernel in kernels(network, nn.Conv2d)]
    assert deviations == pytest.approx([0.0378, 0.3536, *[0.1179] * 4, 0.189], rel=0.1)


@pytest.mark.parametrize(("name", "kind"), [("srcnn", nn.Conv2d), ("fsrcnn", nn.ConvTranspose2d)])
def test_srcnn_and_the_deconvolution_of_fsrcnn_start_from_0_001(name: str, kind: type[nn.Module]) -> None:
    weights = torch.cat([kernel.flatten() for kernel in kernels(initialised(name, {}), kind)])
    assert float(weights.std()) == pytest.approx(1e-3, rel=0.1)
    layers = [layer for layer in initialised(name, {}).modules() if isinstance(layer, kind)]
    assert not any(layer.get_parameter("bias").any() for layer in layers)


def test_kernel_bases_start_as_shares_of_xaviers() -> None:
    network = initialised("uestc_medialab", {"blocks": 1, "bases": 3})
    bound = (6 / (9 * (3 + 64))) ** 0.5
    assert float(network.get_parameter("head.weight").abs().max()) == pytest.approx(bound / 3, rel=0.05)


def test_a_network_without_rules_of_its_own_stays_as_it_is() -> None:
    torch.manual_seed(0)
    fresh = NetworkSpec("carn", {"channels": 8}).build()
    assert torch.equal(
        fresh.get_parameter("head.weight"), initialised("carn", {"channels": 8}).get_parameter("head.weight")
    )
