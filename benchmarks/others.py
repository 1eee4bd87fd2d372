"""What people use instead, each from (H, W, 3) uint8 to a contiguous (r·H, r·W, 3) uint8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

__all__ = ["onnx_runtime", "pillow_bicubic", "torch_bicubic"]

Pixels = NDArray[np.uint8]


def pillow_bicubic(lr: Pixels, scale: int) -> Pixels:
    size = (lr.shape[1] * scale, lr.shape[0] * scale)
    return np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.BICUBIC))


@torch.inference_mode()
def torch_bicubic(lr: Pixels, scale: int) -> Pixels:
    values = torch.from_numpy(lr).permute(2, 0, 1)[None].float()
    sr = F.interpolate(values, scale_factor=scale, mode="bicubic")[0]
    return np.asarray(sr.clamp(0, 255).round().byte().permute(1, 2, 0).contiguous())


def onnx_runtime(model: Path, threads: int) -> Callable[[Pixels], Pixels]:
    """A model file as it is, f32, planes, in [0, 1]; NumPy converts."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def upscale(lr: Pixels) -> Pixels:
        values = np.ascontiguousarray(lr.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        sr = session.run(None, {"lr": values})[0][0]
        np.clip(sr, 0, 1, out=sr)
        sr *= 255
        np.round(sr, out=sr)
        return np.ascontiguousarray(sr.astype(np.uint8).transpose(1, 2, 0))

    return upscale
