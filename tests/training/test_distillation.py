from pathlib import Path
from typing import Any

import pytest
import torch

from upres.networks import NetworkSpec
from upres.networks.checkpoint import save_checkpoint
from upres.training.losses import Batch, Watch, make_loss
from upres.training.losses.distillation import attention


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8})
    save_checkpoint(tmp_path / "teacher.safetensors", spec, spec.build())
    return tmp_path / "teacher.safetensors"


def distilled(teacher: Path, channels: int, **options: Any) -> torch.Tensor:
    """The loss of a network with the teacher's weights if it has its channels, else of a new one."""
    torch.manual_seed(0)
    network = NetworkSpec("bicubicpp", {"scale": 2, "channels": channels}).build()
    loss = make_loss("distillation", {"teacher": str(teacher), **options})
    loss.prepare(network, 16)
    watch = Watch(network, loss.watched)
    lr = torch.rand(2, 3, 8, 8)
    sr = network(lr)
    value: torch.Tensor = loss(Batch(lr, sr, torch.zeros_like(sr), watch.outputs))
    watch.close()
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()


def test_a_network_like_its_teacher_has_nothing_to_learn(teacher: Path) -> None:
    assert distilled(teacher, 8) == 0
    assert distilled(teacher, 8, layers=["head"]) == 0
    assert distilled(teacher, 6) > 0


def test_features_add_their_weighted_share(teacher: Path) -> None:
    outputs = distilled(teacher, 6)
    features = distilled(teacher, 6, layers=["head"], compare="attention", outputs=0.0)
    both = distilled(teacher, 6, layers=["head"], compare="attention", features=3.0)
    torch.testing.assert_close(both, outputs + 3 * features)
    assert features > 0


def test_attention_is_where_features_are_strong() -> None:
    features = torch.zeros(1, 5, 2, 2)
    features[:, :, 0, 1] = 2
    assert torch.equal(attention(features), torch.tensor([[0.0, 1, 0, 0]]))
    torch.testing.assert_close(attention(features * 7), attention(features))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": ["head"]}, r"head gives \(6, .*\), the teacher's head \(8, .*\): they cannot be compared"),
        ({"layers": ["none"]}, "the network has no module none; it has .*, head"),
        ({"layers": ["head"], "teacher_layers": ["none"]}, "the teacher .* has no module none; it has .*, head"),
        ({"layers": ["head"], "teacher_layers": ["head", "head"]}, "teacher_layers has 2 names, but layers 1"),
        ({"teacher": "none.safetensors"}, "none.safetensors"),
    ],
)
def test_what_cannot_be_compared_is_said(teacher: Path, options: dict[str, Any], says: str) -> None:
    others = {name: value for name, value in options.items() if name != "teacher"}
    with pytest.raises(ValueError, match=says):
        distilled(Path(options.get("teacher", teacher)), 6, **others)


def test_the_teacher_must_have_the_scale(teacher: Path) -> None:
    with pytest.raises(ValueError, match="is of scale 2, not 3"):
        make_loss("distillation", {"teacher": str(teacher)}).prepare(NetworkSpec("bicubicpp", {"scale": 3}).build(), 24)
