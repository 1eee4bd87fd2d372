import pytest
import torch

from upres.networks.zjuesr import ZJUESR, IdleBlock, MultiScaleDepthwise


def test_half_of_the_channels_idle_and_all_move_on() -> None:
    torch.manual_seed(0)
    block = IdleBlock(8, expansion=3, kernels=(3, 5, 7))
    features = torch.rand(1, 8, 6, 5)
    made = block(features)
    assert torch.equal(made[:, 2:6], features[:, 4:])
    changed = torch.cat([made[:, 6:], made[:, :2]], dim=1)
    torch.testing.assert_close(changed, features[:, :4] + block.active(features[:, :4]))


def test_after_five_blocks_every_channel_depends_on_every_other() -> None:
    torch.manual_seed(0)
    features = torch.rand(1, 8, 1, 1, requires_grad=True)
    made = features
    for _ in range(5):
        made = IdleBlock(8, expansion=12, kernels=(3,))(made)
    for channel in range(8):
        (gradient,) = torch.autograd.grad(made[0, channel].sum(), features, retain_graph=True)
        assert gradient.all()


def test_depthwise_kernels_have_several_sizes() -> None:
    layer = MultiScaleDepthwise(6, (3, 5, 7))
    impulse = torch.zeros(1, 6, 9, 9)
    impulse[..., 4, 4] = 1
    for part in layer.parts:
        torch.nn.init.zeros_(part.bias)  # type: ignore[arg-type]
    reached = torch.count_nonzero(layer(impulse), dim=(2, 3))[0]
    assert reached.tolist() == [9, 9, 25, 25, 49, 49]


@pytest.mark.parametrize("arguments", [{"channels": 6}, {"channels": 8, "expansion": 1}])
def test_channels_that_cannot_be_divided_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        ZJUESR(**arguments)  # type: ignore[arg-type]
