import torch
from torch.nn import functional as F

from upres.networks.notfound404 import GhostConvolution, NotFound404


def test_half_of_the_channels_are_ghosts_of_the_other_half() -> None:
    torch.manual_seed(0)
    ghost = GhostConvolution(6, (1, 3))
    features = torch.rand(1, 6, 4, 5)
    computed, derived = ghost(features).chunk(2, dim=1)
    torch.testing.assert_close(computed, F.conv2d(features, ghost.primary.weight, ghost.primary.bias, padding=(0, 1)))
    for place in range(3):  # each from one
        alone = torch.zeros_like(computed)
        alone[:, place] = computed[:, place]
        torch.testing.assert_close(ghost.cheap(alone)[:, place], derived[:, place])
    plain = 6 * 6 * 3 + 6
    assert sum(weight.numel() for weight in ghost.parameters()) == 6 * 3 * 3 + 3 * 3 + 6 < plain


def test_kernels_are_1x3_and_3x1_in_turn() -> None:
    kernels = [
        module.primary.kernel_size for module in NotFound404(blocks=2).modules() if isinstance(module, GhostConvolution)
    ]
    assert kernels == [(1, 3), (3, 1), (1, 3), (3, 1)]
