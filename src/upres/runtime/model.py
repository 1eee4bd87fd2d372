"""Model files: one ONNX with its card.

The file holds the network as trained: NCHW, in [0, 1], f32 or, where the card says so, with the convolutions in
int8. Engines get it wrapped for pictures: `upres.runtime.graph`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from upres.errors import ModelError
from upres.runtime.cache import kept
from upres.runtime.card import Card

__all__ = ["CARD_KEY", "Model", "bundled", "load_model"]

CARD_KEY = "upres.card"


@dataclass(frozen=True)
class Model:
    """A model file in memory."""

    card: Card
    onnx: bytes
    """The file: input ``lr`` (1, 3, H, W), output ``sr`` (1, 3, r·H, r·W), f32."""


def load_model(path: Path) -> Model:
    """Read a model file.

    Raises:
        ModelError: if it cannot be read, is no ONNX, or has no card.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return Model(Card.from_json(_card_text(data).decode()), data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


@kept
def _card_text(file: bytes) -> bytes:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        properties = {item.key: item.value for item in onnx.load_from_string(file).metadata_props}
    except DecodeError:
        raise ModelError("not an ONNX file") from None
    if CARD_KEY not in properties:
        raise ModelError("has no card of upres; make models with `upres export`")
    return bytes(properties[CARD_KEY].encode())


def bundled() -> dict[str, Path]:
    """The bundled models' names and files, in order of their names."""
    folder = Path(__file__).parents[1] / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}
