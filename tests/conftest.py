"""What tests share: pictures, and the reference data that lies beside a checkout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from upres.images import read
from upres.runtime import Card, routing
from upres.runtime import bundle as bundles
from upres.runtime.card import Routing
from upres.runtime.model import CARD_KEY

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compiled models of test networks do not belong in the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data sets and reference values; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the reference data is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def examples() -> Path:
    return ROOT / "examples"


@pytest.fixture(scope="session")
def photograph(examples: Path) -> NDArray[np.uint8]:
    """(176, 240, 3) uint8."""
    return read(examples / "cat.webp").rgb8()


@pytest.fixture(scope="session")
def of_kind(photograph: NDArray[np.uint8]) -> Any:
    """Makes a picture of a number of channels and a dtype; alpha fades from left to right."""

    def make(channels: int, dtype: Any, height: int = 37, width: int = 51) -> NDArray[Any]:
        rgb = photograph[60 : 60 + height, 50 : 50 + width]
        fade = np.linspace(0, 255, width).astype(np.uint8)
        alpha = np.broadcast_to(fade[None, :, None], (height, width, 1))
        grey = rgb[..., 1:2]
        pixels = {
            1: grey,
            2: np.concatenate([grey, alpha], axis=2),
            3: rgb,
            4: np.concatenate([rgb, alpha], axis=2),
        }[channels]
        if dtype == np.uint16:
            rows = np.arange(height)[:, None, None]
            return (pixels.astype(np.uint16) * 257) ^ (rows % 3).astype(np.uint16)  # low bits that 8 bits cannot hold
        if dtype == np.float32:
            return (pixels / 255).astype(np.float32)
        return np.ascontiguousarray(pixels)

    return make


@pytest.fixture
def bundle(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, float]], dict[str, Path]]:
    """Puts models in the place of the bundled ones: name to the share of the brightness that one leaves.

    They repeat every pixel, so the result tells which models were run.
    """
    folder = tmp_path_factory.mktemp("bundle")

    def make(shares: dict[str, float]) -> dict[str, Path]:
        files = {name: folder / f"{name}.onnx" for name in sorted(shares)}
        for name, path in files.items():
            path.write_bytes(_dimming(name, int(name[-1]), shares[name]))
        monkeypatch.setattr("upres.runtime.upscaler.bundled", lambda: files)
        return files

    return make


@pytest.fixture(scope="session")
def two_branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that doubles both sides and, where a picture has detail, halves its brightness: by the larger branch."""
    cards = [Card("plain_x2", 2, 0, multiply_adds=10**7), Card("dim_x2", 2, 0, multiply_adds=10**8)]
    parts = {bundles.ROUTER: bundles.detail_router(6)}
    parts |= {card.name: _dimming(card.name, 2, share) for card, share in zip(cards, (1.0, 0.5), strict=True)}
    model = onnx.load_from_string(bundles.bundle(parts))
    card = Card("two_x2", 2, 0, routing=Routing(6, 4, 1.0, [(1.0, 0.0)], cards, 48, [0.1, 1.0]))
    model.metadata_props.add(key=CARD_KEY, value=card.to_json())
    path = tmp_path_factory.mktemp("two_branches") / "two_x2.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def cheap_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows cost what they see alone; else pictures as small as tests' go through one branch whole."""
    monkeypatch.setattr(routing, "CALL", 0)


def _dimming(name: str, scale: int, share: float) -> bytes:
    nodes = [
        helper.make_node("Mul", ["lr", "share"], ["dim"]),
        helper.make_node("Concat", ["dim"] * scale**2, ["repeated"], axis=1),
        helper.make_node("DepthToSpace", ["repeated"], ["sr"], blocksize=scale),
    ]
    ends = {
        end: helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, 3, f"{end}_rows", f"{end}_columns"])
        for end in ("lr", "sr")
    }
    share_of = numpy_helper.from_array(np.array(share, np.float32), "share")
    graph = helper.make_graph(nodes, name, [ends["lr"]], [ends["sr"]], [share_of])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key=CARD_KEY, value=Card(name, scale, halo=0).to_json())
    return bytes(model.SerializeToString())
