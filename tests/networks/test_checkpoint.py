from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from upres.networks import NetworkSpec
from upres.networks.checkpoint import load_checkpoint, save_checkpoint


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
