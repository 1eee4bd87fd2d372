"""What a training writes down beside its weights."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from upres.errors import RecipeError

__all__ = ["Log", "summary"]


class Log:
    """metrics.jsonl and TensorBoard, cut back on resume to the step that the state holds; and the clock.

    Args:
        out: folder of the run.
        step: that the state holds.
        seconds: that the run has taken until then.
        writes: whether anything is written down, which one of several processes does.
    """

    def __init__(self, out: Path, step: int, seconds: float = 0.0, *, writes: bool = True) -> None:
        self.latest: dict[str, float] = {}
        self.step = step
        self.begun = time.monotonic() - seconds
        self.saved()
        self.writes = writes
        if not writes:
            return
        path = out / "metrics.jsonl"
        kept = [line for line in _lines(path) if line["step"] <= step] if step else []
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        for line in kept:
            self.latest |= line
        self.file = path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(out), purge_step=step + 1)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.writes:
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
        self.step = step
        self.latest |= values
        if not self.writes:
            return
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        if picture is not None:
            self.board.add_image("validation", picture, step, dataformats="HWC")

    @property
    def line(self) -> str:
        """What a progress bar shows."""
        parts = [f"loss {self.latest['loss']:.4f}"]
        if "psnr" in self.latest:
            parts.append(f"PSNR {self.latest['psnr']:.2f} dB")
        return "  ".join(parts)

    @property
    def seconds(self) -> float:
        """That the run has taken, with its earlier parts."""
        return time.monotonic() - self.begun

    def trained(self, step: int, steps: int) -> str:
        """How long a checkpoint was trained, for its card."""
        return f"{step} of {steps} steps in {self.seconds / 3600:.2f} hours"

    def saved(self) -> None:
        """The state has just been written."""
        self.last_saved = time.monotonic()

    def seconds_since_saved(self) -> float:
        """Since the state was written."""
        return time.monotonic() - self.last_saved


def summary(out: Path) -> str:
    """What a run has come to, from its metrics.jsonl: the loss and PSNR at its start and its end, and bicubic's."""
    lines = _lines(out / "metrics.jsonl")
    parts = []
    for name, unit in (("loss", ""), ("psnr", " dB")):
        values = [line[name] for line in lines if name in line]
        if len(values) > 1:
            some = max(1, len(values) // 5) if name == "loss" else 1  # a single batch's loss says little
            first, last = (sum(part) / some for part in (values[:some], values[-some:]))
            parts.append(f"{name} {first:.4g} to {last:.4g}{unit}")
    bicubic = [f"bicubic {line['bicubic']:.4g} dB" for line in lines if "bicubic" in line]
    return ", ".join([*parts, *bicubic])


def _lines(path: Path) -> list[dict[str, float]]:
    """What was noted, but for a last line that was cut when the process was killed.

    Raises:
        RecipeError: if it is damaged.
    """
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    try:
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    except ValueError as error:
        raise RecipeError(f"{path}: is damaged ({error}); delete it, the weights do not need it") from None
