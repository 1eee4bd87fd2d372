from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.reparameterised import (
    FILTERS,
    AsymmetricConvolution,
    EdgeOrientedConvolution,
    KernelBases,
    ReparameterisedConvolution,
    RepVGGConvolution,
    WeightNormalisedConvolution,
)

BLOCKS: dict[str, Callable[[], ReparameterisedConvolution]] = {
    "asymmetric": lambda: AsymmetricConvolution(6, 4),
    "bases": lambda: KernelBases(6, 4, bases=3),
    "grouped bases": lambda: KernelBases(6, 4, 1, bases=3, groups=2),
    "weight norm": lambda: WeightNormalisedConvolution(6, 4, 5),
    "repvgg": lambda: RepVGGConvolution(6, 4),
    "repvgg with identity": lambda: RepVGGConvolution(6, 6),
    "edge": lambda: EdgeOrientedConvolution(6, 4),
}


def trained(name: str) -> ReparameterisedConvolution:
    """A block with no parameter and no statistic left at a value that hides a mistake."""
    torch.manual_seed(0)
    block = BLOCKS[name]()
    for state in block.state_dict().values():
        if state.is_floating_point():
            state.copy_(torch.rand_like(state) + 0.1)
    return block.eval()


def by_branches(block: ReparameterisedConvolution, features: Tensor) -> Tensor:
    """The output as the papers draw it: branch by branch."""
    match block:
        case AsymmetricConvolution():
            square = F.conv2d(features, block.weight, block.bias, padding=1)
            horizontal = F.conv2d(features, block.horizontal.weight, padding=(0, 1))
            return square + horizontal + F.conv2d(features, block.vertical.weight, padding=(1, 0))
        case KernelBases():
            padding, groups = block.weight.shape[-1] // 2, block.groups
            sums = sum(F.conv2d(features, weight, padding=padding, groups=groups) for weight in block.weight)
            assert isinstance(sums, Tensor)
            assert block.bias is not None
            return sums + block.bias[:, None, None]
        case WeightNormalisedConvolution():
            norm = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 5, padding=2))
            norm.load_state_dict(
                {
                    "bias": block.bias,
                    "parametrizations.weight.original0": block.length,
                    "parametrizations.weight.original1": block.weight,
                }
            )
            return norm(features)  # type: ignore[no-any-return]
        case RepVGGConvolution():
            sums = block.norm(F.conv2d(features, block.weight, padding=1)) + block.point_norm(block.point(features))
            return sums + block.identity_norm(features) if block.identity_norm else sums  # type: ignore[no-any-return]
        case EdgeOrientedConvolution():
            assert block.expand.bias is not None
            inner = block.expand(features)
            framed = block.expand.bias[:, None, None].repeat(1, features.shape[2] + 2, features.shape[3] + 2)
            framed = framed.repeat(len(features), 1, 1, 1)
            framed[..., 1:-1, 1:-1] = inner
            sums = block.spatial(framed) + F.conv2d(features, block.weight, padding=1)
            for points, strengths, pattern in zip(
                block.points(features).chunk(3, dim=1), block.strengths, torch.tensor(FILTERS), strict=True
            ):
                kernels = strengths[:, None, None, None] * pattern
                sums = sums + F.conv2d(points, kernels, padding=1, groups=len(kernels))
            return sums  # type: ignore[no-any-return]
    raise AssertionError(block)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_the_sum_of_its_branches_and_merges_into_one_convolution(name: str) -> None:
    block = trained(name)
    features = torch.rand(2, 6, 7, 5)
    expected = by_branches(block, features)
    plain = block.merged()
    assert type(plain) is nn.Conv2d
    torch.testing.assert_close(block(features), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain(features), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_learns(name: str) -> None:
    block = trained(name).train()
    before = [parameter.detach().clone() for parameter in block.parameters()]
    block(torch.rand(2, 6, 7, 5)).square().sum().backward()
    for parameter, old in zip(block.parameters(), before, strict=True):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
        assert torch.equal(parameter, old)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("asymmetric", 6 * 4 * (9 + 3 + 3) + 4, 6 * 4 * 9 + 4),
        ("bases", 3 * 6 * 4 * 9 + 4, 6 * 4 * 9 + 4),
        ("grouped bases", 3 * 3 * 4 + 4, 3 * 4 + 4),
        ("weight norm", (6 * 25 + 2) * 4, (6 * 25 + 1) * 4),
        ("repvgg", 6 * 4 * (9 + 1) + 2 * 2 * 4, 6 * 4 * 9 + 4),
        ("repvgg with identity", 6 * 6 * (9 + 1) + 3 * 2 * 6, 6 * 6 * 9 + 6),
        ("edge", 6 * 4 * 9 + (6 * 8 + 8) + (8 * 4 * 9 + 4) + 3 * (6 * 4 + 4), 6 * 4 * 9 + 4),
    ],
)
def test_parameters_before_and_after(name: str, before: int, after: int) -> None:
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    block = BLOCKS[name]()
    assert (count(block), count(block.merged())) == (before, after)


def test_batch_norm_in_a_block_learns_the_statistics_of_every_branch() -> None:
    torch.manual_seed(0)
    block = RepVGGConvolution(4, 4).train()
    for norm in (block.norm, block.point_norm, block.identity_norm):
        assert norm is not None
        norm.momentum = 1.0  # the statistics of the last batch alone
    features = 3 + 2 * torch.randn(4, 4, 16, 16)
    in_training = block(features)
    torch.testing.assert_close(block.eval()(features), in_training, atol=1e-2, rtol=1e-2)


def test_a_sum_of_kernels_begins_as_large_as_one() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(64, 64, 3).weight.std().item()
    weight, _ = KernelBases(64, 64, bases=8).kernel()
    assert weight.std().item() == pytest.approx(plain, rel=0.05)
