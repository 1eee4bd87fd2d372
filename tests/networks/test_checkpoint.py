from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from upres.compression.reparameterise import merge
from upres.networks import Network, NetworkSpec
from upres.networks.checkpoint import fit, load_checkpoint, save_checkpoint
from upres.networks.reparameterised import KernelBases


def test_a_checkpoint_rebuilds_its_network(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8, "anchor": True, "downscale": "none"})
    network = spec.build()
    save_checkpoint(tmp_path / "a.safetensors", spec, network)
    again, rebuilt = load_checkpoint(tmp_path / "a.safetensors")
    assert again == spec
    lr = torch.rand(1, 3, 6, 5)
    assert torch.equal(rebuilt(lr), network(lr))
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "a.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="names no network"):
        load_checkpoint(tmp_path / "b.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "c.safetensors", metadata={"network": "bicubicpp"})
    with pytest.raises(ValueError, match="do not fit"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_unknown_names_and_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"known: .*bicubicpp"):
        NetworkSpec("none").build()
    with pytest.raises(ValueError, match="depth"):
        NetworkSpec("bicubicpp", {"depth": 3}).build()


def narrower(name: str, wide: dict[str, Any], narrow: dict[str, Any]) -> tuple[NetworkSpec, Network]:
    """What a network is said to be, and one of other numbers of channels."""
    return NetworkSpec(name, wide), NetworkSpec(name, narrow).build().eval()


def assert_loads(folder: Path, spec: NetworkSpec, network: Network) -> Network:
    save_checkpoint(folder / "a.safetensors", spec, network)
    found, loaded = load_checkpoint(folder / "a.safetensors")
    lr = torch.rand(1, 3, 9, 8)
    with torch.inference_mode():
        assert torch.equal(loaded(lr), network.eval()(lr))
    assert found == spec
    original = spec.build()
    facts = (original.scale, original.halo, original.alignment, original.minimum)
    assert (loaded.scale, loaded.halo, loaded.alignment, loaded.minimum) == facts
    return loaded


@pytest.mark.parametrize(
    ("name", "wide", "narrow"),
    [
        ("bicubicpp", {}, {"channels": 5}),
        ("carn", {"channels": 16, "groups": 4, "mobile": True}, {"channels": 8, "groups": 4, "mobile": True}),
        ("carn_classsr", {"channels": 36}, {"channels": 52}),  # wider; batch norm
        ("classsr", {"base": "fsrcnn"}, {"base": "fsrcnn", "channels": [4, 8, 12]}),
        ("ecbsr", {}, {"channels": 6}),
        ("ecbsr", {"layer": "repvgg", "channels": 8}, {"layer": "repvgg", "channels": 6}),
        ("fsrcnn", {}, {"channels": 6, "shrunk": 3}),  # a transposed convolution, a slope for each channel
        ("notfound404", {"blocks": 1}, {"blocks": 1, "channels": 10}),  # depthwise
        ("uestc_medialab", {"blocks": 1, "bases": 4}, {"blocks": 1, "bases": 6}),  # more kernels in the sums
    ],
)
def test_numbers_of_channels_are_those_of_the_tensors(
    tmp_path: Path, name: str, wide: dict[str, Any], narrow: dict[str, Any]
) -> None:
    spec, network = narrower(name, wide, narrow)
    loaded = assert_loads(tmp_path, spec, network)
    assert str(loaded) == str(network)


def test_biases_are_there_where_the_tensors_are(tmp_path: Path) -> None:
    for said, built in ((True, False), (False, True)):
        spec, network = narrower("bicubicpp", {"bias": said}, {"bias": built})
        loaded = assert_loads(tmp_path, spec, network)
        assert all((layer.bias is not None) == built for layer in loaded.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ecbsr", {"layer": "edge", "channels": 4, "blocks": 2}),
        ("ecbsr", {"layer": "repvgg", "channels": 4, "blocks": 2}),
        ("fimdn", {"channels": 8, "blocks": 1}),
        ("maffsrn", {"channels": 8, "groups": 1}),
        ("uestc_medialab", {"channels": 8, "blocks": 1}),
    ],
)
def test_merged_convolutions_are_plain(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    spec = NetworkSpec(name, arguments)
    merged = merge(spec.build())
    assert str(assert_loads(tmp_path, spec, merged)) == str(merged)


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("head.weight"), "head.weight is missing"),
        (lambda state: state.update(more=torch.zeros(1)), "more is superfluous"),
        (lambda state: state.update({"head.weight": torch.zeros(8, 3, 5, 5)}), r"head.weight is \(8, 3, 5, 5\), not"),
        (lambda state: state.update({"head.weight": torch.zeros(9, 3, 3, 3)}), "channels do not fit together"),
        (lambda state: state.update({"tail.weight": torch.zeros(72, 8, 3, 3)}), "channels make .* not"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: Callable[[dict[str, Tensor]], object], says: str) -> None:
    spec = NetworkSpec("bicubicpp", {"channels": 8})
    state = spec.build().state_dict()
    change(state)
    with pytest.raises(ValueError, match=says):
        fit(spec.build(), state)
    metadata = {"network": spec.name, "arguments": '{"channels": 8}'}
    save_file(state, tmp_path / "a.safetensors", metadata=metadata)
    with pytest.raises(ValueError, match=rf"a\.safetensors: the weights do not fit .*{says}"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_a_checkpoint_keeps_facts_beside_what_rebuilds_it(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"channels": 8})
    save_checkpoint(tmp_path / "a.safetensors", spec, spec.build(), facts={"recipe": "mine", "network": "other"})
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.metadata()["recipe"] == "mine"
    assert load_checkpoint(tmp_path / "a.safetensors")[0] == spec


def test_a_merged_convolution_whose_kernel_is_a_sum_of_bases_again_is_read(tmp_path: Path) -> None:
    spec = NetworkSpec("ecbsr", {"scale": 2, "channels": 4, "blocks": 1})
    network = merge(spec.build())
    for path, module in list(network.named_modules()):
        if type(module) is nn.Conv2d:
            network.set_submodule(path, KernelBases.from_plain(module))
    save_checkpoint(tmp_path / "a.safetensors", spec, network)
    lr = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(load_checkpoint(tmp_path / "a.safetensors")[1](lr), network.eval()(lr))
