import torch

from upres.training.soap import SOAP


def badly_conditioned(optimizer: type[torch.optim.Optimizer], lr: float, steps: int = 300) -> float:
    """The loss after fitting a linear layer whose inputs are correlated and differ a hundredfold in size."""
    torch.manual_seed(0)
    mixing = torch.linalg.qr(torch.randn(12, 12))[0] @ torch.diag(torch.logspace(0, -2, 12))
    inputs = torch.randn(256, 12) @ mixing.T
    wanted = inputs @ torch.randn(12, 5)
    layer = torch.nn.Linear(12, 5, bias=False)
    chosen = optimizer(layer.parameters(), lr=lr)  # type: ignore[call-arg]
    for step in range(steps):
        chosen.param_groups[0]["lr"] = lr * (1 - step / steps)
        loss = (layer(inputs) - wanted).square().mean()
        chosen.zero_grad()
        loss.backward()
        chosen.step()
    return float(loss.item())


def test_correlated_inputs_slow_it_less_than_adam() -> None:
    assert badly_conditioned(SOAP, 0.03) < 0.3 * badly_conditioned(torch.optim.Adam, 0.03)


def test_its_state_is_enough_to_go_on() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(8, 2, 5, 5)
    networks = [torch.nn.Conv2d(2, 3, 3) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    optimizers = [SOAP(network.parameters(), weight_decay=0.1) for network in networks]

    def steps(number: int, count: int) -> None:
        for _ in range(count):
            optimizers[number].zero_grad()
            networks[number](inputs).square().mean().backward()
            optimizers[number].step()

    steps(0, 25)
    steps(1, 12)
    state = optimizers[1].state_dict()
    optimizers[1] = SOAP(networks[1].parameters(), weight_decay=0.1)
    optimizers[1].load_state_dict(state)
    steps(1, 13)
    assert torch.equal(networks[0].weight, networks[1].weight)


def test_long_sides_are_left_to_adam() -> None:
    layer = torch.nn.Linear(40, 3)
    optimizer = SOAP(layer.parameters(), largest=10)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.ones(2, 40)).sum().backward()
        optimizer.step()
    assert "basis_right" not in optimizer.state[layer.weight]
    assert optimizer.state[layer.weight]["basis_left"].shape == (3, 3)
