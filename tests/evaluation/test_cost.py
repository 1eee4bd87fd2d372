import json
from pathlib import Path

import pytest
import torch

from upres.errors import ModelError
from upres.evaluation import cost
from upres.evaluation.cost import Protocol, measure
from upres.evaluation.machine import MEMORY, Ceiling, Machine
from upres.networks import NetworkSpec
from upres.networks.checkpoint import save_checkpoint

SHORT = Protocol(32, 40, warm_up=1, repeats=3)
MACHINE = Machine(
    "test", 2, (), tuple(Ceiling(kind, 2, rate, rate, rate, "") for kind, rate in (("f32", 1e15), (MEMORY, 1e9)))
)


def test_a_network_a_checkpoint_and_a_model_side_by_side(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8})
    save_checkpoint(tmp_path / "mine.safetensors", spec, spec.build())
    network, checkpoint, model = measure(["bicubicpp", str(tmp_path / "mine.safetensors"), "fast_x2"], SHORT)
    assert (network.name, network.scale, network.parameters) == ("bicubicpp", 3, 50_400)
    assert (checkpoint.name, checkpoint.scale) == ("mine", 2)
    assert checkpoint.parameters == 8 * 27 + 2 * 8 * 8 * 9 + 48 * 8 * 9
    assert (model.name, model.scale, model.parameters) == ("fast_x2", 2, 33_264)
    for found in (network, checkpoint, model):
        assert 0 < found.quartiles_ms[0] <= found.runtime_ms <= found.quartiles_ms[1]
        assert found.memory_mb is None or found.memory_mb > 0
        assert found.roofline is None
        assert found.protocol == SHORT


def test_counts_are_per_image_and_follow_the_input_size() -> None:
    (small,) = measure(["bicubicpp"], SHORT)
    (large,) = measure(["bicubicpp"], Protocol(64, 80, warm_up=0, repeats=1, batch=2, threads=1))
    assert large.multiply_adds == 4 * small.multiply_adds
    assert large.convolutions == small.convolutions == 4
    assert large.quartiles_ms == (large.runtime_ms, large.runtime_ms)


def test_the_roofline_is_the_ceiling_that_binds() -> None:
    (found,) = measure(["fast_x2"], SHORT, MACHINE)
    moved = 32 * 40 * 3 * (1 + 4) + 4 * 33_264  # bytes in, bytes out, weights once
    assert found.roofline == pytest.approx(moved / 1e9 / (found.runtime_ms / 1000))


def test_a_ceiling_that_was_not_measured_is_missed_before_anything_runs() -> None:
    for protocol, said in ((Protocol(threads=1), "f32 was measured with 1"), (Protocol(precision="f16"), "of f16")):
        with pytest.raises(ValueError, match=said):
            measure(["no such network"], protocol, MACHINE)


def test_quartiles_lie_among_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = NetworkSpec("bicubicpp")
    times = iter([0.010, 0.030])
    monkeypatch.setattr(cost, "_peak_memory", lambda *_: None)
    subject = cost._Subject("a", 3, cost.count(spec.build(), 8, 8), 1, lambda: next(times))
    monkeypatch.setattr(cost, "_open", lambda *_: subject)
    (found,) = measure(["a"], Protocol(warm_up=0, repeats=2))
    assert found.quartiles_ms == pytest.approx((15, 25))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_network_runs_by_the_engines_too(engine: str) -> None:
    (found,) = measure(["bicubicpp"], Protocol(32, 40, engine=engine, warm_up=0, repeats=1))
    assert found.runtime_ms > 0
    assert found.protocol.engine == engine


@pytest.mark.parametrize(
    ("name", "protocol", "said"),
    [
        ("none", SHORT, "no model or network 'none'"),
        ("fast_x2", Protocol(engine="torch"), "torch runs networks and checkpoints"),
        ("fast_x2", Protocol(batch=2), "one image at a time"),
        ("bicubicpp", Protocol(precision="int8"), "not int8"),
        ("bicubicpp", Protocol(device="tpu"), "finds no tpu"),
        ("bicubicpp", Protocol(engine="tensorrt"), "no engine 'tensorrt': choose one of torch, openvino, onnxruntime"),
    ],
)
def test_what_cannot_be_measured_is_said(name: str, protocol: Protocol, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        measure([name], protocol)


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.safetensors") as error:
        measure([str(tmp_path / "none.safetensors")], SHORT)
    assert not str(error.value).startswith(2 * f"{tmp_path / 'none.safetensors'}: ")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_on_a_gpu_with_events() -> None:
    (found,) = measure(["bicubicpp"], Protocol(device="cuda", precision="f16"))
    assert found.runtime_ms > 0
    assert found.memory_mb
    assert json.dumps(found.protocol.device) == '"cuda"'
