import torch
from torch import nn

from upres.compression.reparameterise import merge
from upres.networks.count import count
from upres.networks.reparameterised import KernelBases
from upres.networks.uestc_medialab import AdaptiveSkip, UESTCMediaLab


def test_every_kernel_is_a_sum_and_merges() -> None:
    torch.manual_seed(0)
    network = UESTCMediaLab(2, channels=8, blocks=2, bases=3)
    assert {type(module) for module in network.modules() if isinstance(module, nn.Conv2d)} == {KernelBases}
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.rand_like(parameter)
    merged = merge(network)
    assert {type(module) for module in merged.modules() if isinstance(module, nn.Conv2d)} == {nn.Conv2d}
    lr = torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(merged(lr), network(lr), atol=1e-5, rtol=1e-5)


def test_a_group_convolution_prelu_and_1x1_stand_for_a_3x3_convolution() -> None:
    counts = count(merge(UESTCMediaLab()))
    block = 9 * (64 * 64 + 3 * 48 * 48) // 2 + 64 * 64 + 2 * 48 * 64 + 48 * 16 + 4 * 64 * 16
    biases = 64 + 3 * 48 + 3 * 64 + 16 + 64
    ends = (27 + 1) * 64 + (64 * 9 + 1) * 64 + (64 * 9 + 1) * 48
    assert counts.parameters == 6 * (block + biases + 4 + 64) + ends == 457_544  # 4 PReLU and a share for each channel
    assert counts.convolutions == 6 * 9 + 3 == 57  # as in the report


def test_the_more_bases_the_more_trains_but_the_same_runs() -> None:
    few, many = UESTCMediaLab(2, 8, 1, bases=2), UESTCMediaLab(2, 8, 1, bases=8)
    assert count(many).parameters > 3 * count(few).parameters
    assert count(merge(many)) == count(merge(few))


def test_the_skip_is_learnt_for_each_channel() -> None:
    skip = AdaptiveSkip(2, nn.Identity())
    features = torch.rand(1, 2, 3, 3)
    assert torch.equal(skip(features), features)
    skip.shares.data = torch.tensor([0.5, -1.0]).reshape(1, 2, 1, 1)
    torch.testing.assert_close(skip(features), features * torch.tensor([1.5, 0.0]).reshape(1, 2, 1, 1))
