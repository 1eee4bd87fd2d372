import copy

import torch
from torch import nn

from upres.compression.reparameterise import merge
from upres.networks.reparameterised import (
    AsymmetricConvolution,
    EdgeOrientedConvolution,
    KernelBases,
    RepVGGConvolution,
    WeightNormalisedConvolution,
)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def mixed() -> nn.Sequential:
    """Everything that folds, at several depths, after a training step that moves all statistics."""
    torch.manual_seed(0)
    module = nn.Sequential(
        AsymmetricConvolution(3, 8),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ModuleDict({"in": nn.Sequential(RepVGGConvolution(8, 8), EdgeOrientedConvolution(8, 8))})["in"],
        KernelBases(8, 8, bases=2),
        nn.PReLU(),
        nn.ConvTranspose2d(8, 6, 3, stride=2, bias=False),
        nn.BatchNorm2d(6),
        WeightNormalisedConvolution(6, 3, 3),
    )
    for _ in range(3):
        module(1 + torch.randn(4, 3, 9, 9)).sum().backward()
    return module


def test_a_merged_network_has_the_same_output_and_is_plain() -> None:
    module = mixed()
    merged = merge(module)
    assert not merged.training
    lr = torch.rand(2, 3, 11, 8)
    torch.testing.assert_close(merged(lr), module.eval()(lr), atol=1e-5, rtol=1e-5)
    kinds = {type(part) for part in merged.modules()}
    assert kinds == {nn.Sequential, nn.Conv2d, nn.ReLU, nn.PReLU, nn.ConvTranspose2d}
    plain = [(3 * 9 + 1) * 8, *[(8 * 9 + 1) * 8] * 3, 1, 8 * 6 * 9 + 6, (6 * 9 + 1) * 3]
    assert parameters(merged) == sum(plain)
    assert parameters(module) == 4_941


def test_all_of_a_merged_network_goes_on_learning() -> None:
    merged = merge(mixed())
    merged(torch.rand(1, 3, 9, 9)).sum().backward()
    assert all(parameter.grad is not None for parameter in merged.parameters())


def test_the_network_itself_stays_as_it_is() -> None:
    module = mixed()
    before = copy.deepcopy(module.state_dict())
    merge(module)
    assert module.training
    assert module.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_batch_norm_stays_where_it_cannot_be_folded() -> None:
    for layers in ([nn.ConvTranspose2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)], [nn.ReLU(), nn.BatchNorm2d(4)]):
        module = nn.Sequential(*layers)
        module(torch.rand(4, 4, 5, 5))
        lr = torch.rand(1, 4, 5, 5)
        assert len(merge(module)) == 2
        assert torch.equal(merge(module)(lr), module.eval()(lr))


def test_a_single_convolution_merges_too() -> None:
    assert type(merge(AsymmetricConvolution(2, 2))) is nn.Conv2d
