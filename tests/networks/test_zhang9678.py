import torch
from torch import nn

from upres.networks.zhang9678 import ConvolutionalLSTM, Zhang9678


def test_one_pixel_is_a_plain_lstm() -> None:
    torch.manual_seed(0)
    cell, plain = ConvolutionalLSTM(3), nn.LSTMCell(3, 3)
    # torch's order is learn, forget, content, tell; of the kernel only the middle meets a single pixel.
    order = torch.tensor([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8])
    assert cell.gates.bias is not None
    plain.weight_ih.data = cell.gates.weight[order, :3, 1, 1].detach()
    plain.weight_hh.data = cell.gates.weight[order, 3:, 1, 1].detach()
    plain.bias_ih.data = cell.gates.bias[order].detach()
    nn.init.zeros_(plain.bias_hh)
    features, hidden, memory = torch.rand(3, 2, 3, 1, 1)
    found = cell(features, hidden, memory)
    expected = plain(features[..., 0, 0], (hidden[..., 0, 0], memory[..., 0, 0]))
    for made, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(made[..., 0, 0], wanted)


def test_recursions_share_their_weights() -> None:
    def parameters(recursions: int) -> int:
        return sum(weight.numel() for weight in Zhang9678(channels=8, recursions=recursions).parameters())

    assert parameters(1) == parameters(5)
