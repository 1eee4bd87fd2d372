"""What a training writes down beside its weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

__all__ = ["Log"]


class Log:
    """metrics.jsonl and TensorBoard, cut back on resume to the step that the state holds."""

    def __init__(self, out: Path, step: int) -> None:
        path = out / "metrics.jsonl"
        kept = []
        if path.exists():
            kept = [line for line in path.read_text("utf-8").splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), "utf-8")
        self.file = path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(out), purge_step=step + 1)
        self.latest: dict[str, float] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.board.close()

    def write(
        self,
        step: int,
        picture: NDArray[np.uint8] | None = None,
        parts: dict[str, float] | None = None,
        **values: float,
    ) -> None:
        """Note values at a step, further ones by name, and a picture (H, W, 3)."""
        values |= parts or {}
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        if picture is not None:
            self.board.add_image("validation", picture, step, dataformats="HWC")
        self.latest |= values

    @property
    def line(self) -> str:
        """What a progress bar shows."""
        parts = [f"loss {self.latest['loss']:.4f}"]
        if "psnr" in self.latest:
            parts.append(f"PSNR {self.latest['psnr']:.2f} dB")
        return "  ".join(parts)
