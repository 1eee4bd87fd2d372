import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.networks.test_load import as_published
from upres.networks import load
from upres.networks.classsr import BRANCHES, PUBLISHED, ClassModule, ClassSR
from upres.networks.count import count


@pytest.mark.parametrize(("base", "family"), [("fsrcnn", "FSRCNN"), ("carn", "CARN"), ("srresnet", "SRResNet")])
def test_parameters_are_the_authors(shared: Path, base: Any, family: str) -> None:
    golden = json.loads((shared / "reference/golden/classsr_structure.json").read_text())["networks"][family]
    network = ClassSR(base=base)
    assert count(network.class_module, 32, 32).parameters == golden["classifier_parameters"] == 60_035
    assert count(network.class_module, 32, 32).multiply_adds == golden["classifier_macs_32x32"] == 3_833_952
    assert sum(parameter.numel() for parameter in network.parameters()) == golden["total_parameters"]


def small(base: Any = "fsrcnn") -> ClassSR:
    """A network whose class module looks at the mean of red: dark is hard, bright is easy."""
    torch.manual_seed(0)
    network = ClassSR(4, base, channels=(4, 8, 12))
    for parameter in network.class_module.parameters():
        torch.nn.init.zeros_(parameter)
    first, *others = (layer for layer in network.class_module.convolutions if isinstance(layer, torch.nn.Conv2d))
    first.weight.data[0, 0] = 1 / 16
    for layer in others:
        layer.weight.data[0, 0] = 1
    network.class_module.dense.weight.data[:, 0] = torch.tensor([100.0, 0.0, -100.0])
    assert network.class_module.dense.bias is not None
    network.class_module.dense.bias.data = torch.tensor([-60.0, 0.0, 40.0])
    return network


BRIGHTNESS = torch.tensor([0.9, 0.1, 0.5, 0.85])  # of sub-images for the branches 0, 2, 1, 0


@pytest.mark.parametrize("base", BRANCHES)
def test_in_evaluation_each_sub_image_takes_its_branch(base: str) -> None:
    network = small(base).eval()
    lr = BRIGHTNESS[:, None, None, None] * torch.ones(4, 3, 8, 8)
    with torch.inference_mode():
        sr = network(lr)
        assert network.classify(lr).argmax(1).tolist() == [0, 2, 1, 0]
        for place, branch in enumerate([0, 2, 1, 0]):
            expected = network.branches[branch](lr[place : place + 1])
            torch.testing.assert_close(sr[place : place + 1], expected)


def test_in_evaluation_only_the_branches_chosen_run() -> None:
    network = small().eval()
    runs: list[tuple[int, int]] = []
    for place, branch in enumerate(network.branches):
        branch.register_forward_hook(lambda _, inputs, __, place=place: runs.append((place, len(inputs[0]))))
    network(BRIGHTNESS[[0, 1, 3], None, None, None] * torch.ones(3, 3, 8, 8))
    assert runs == [(0, 2), (2, 1)]


def test_in_training_all_branches_are_weighed_and_learn() -> None:
    network = ClassSR(4, "fsrcnn", channels=(4, 8, 12)).train()
    lr = torch.rand(3, 3, 32, 32)
    sr, probabilities = network(lr), network.classify(lr)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))
    expected = sum(probabilities[:, i, None, None, None] * branch(lr) for i, branch in enumerate(network.branches))
    torch.testing.assert_close(sr, expected)
    (sr.square().mean() + probabilities.square().mean()).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_the_class_module_sees_every_pixel_of_whole_4x4_squares_once() -> None:
    torch.manual_seed(0)
    lr = torch.rand(1, 3, 11, 9, requires_grad=True)
    (gradient,) = torch.autograd.grad(ClassModule()(lr)[0, 0], lr)
    seen = gradient.abs().sum((0, 1)) > 0
    assert seen[:8, :8].all()
    assert seen.sum() == 64


def test_an_unknown_base_is_refused() -> None:
    with pytest.raises(ValueError, match="fsrcnn, carn, srresnet"):
        ClassSR(base="rcan")  # type: ignore[arg-type]


def test_fsrcnn_branches_are_recognised(tmp_path: Path) -> None:
    network = ClassSR(4, "fsrcnn", channels=(4, 8, 12)).eval()
    state = as_published(PUBLISHED[0], network.state_dict())
    assert state

    def in_the_body(name: str) -> str:
        """The authors number the mapping and the expansion as they stand in a sequence."""
        for place in (1, 2, 3, 4):
            name = name.replace(f".convolutions.{place + 1}.", f".body_conv.{place}.")
        name = name.replace(".activations.5.", ".body_conv.5.")
        return name.replace(".convolutions.6.", ".body_conv.6.0.").replace(".activations.6.", ".body_conv.6.1.")

    torch.save({in_the_body(name): tensor for name, tensor in state.items()}, tmp_path / "ClassSR.pth")
    spec, loaded = load(tmp_path / "ClassSR.pth")
    assert (spec.name, spec.arguments) == ("classsr", {"scale": 4, "base": "fsrcnn", "channels": [4, 8, 12]})
    lr = torch.rand(2, 3, 8, 8)
    assert torch.equal(loaded(lr), network(lr))
