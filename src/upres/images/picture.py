"""A decoded picture and what its file says about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Metadata", "Picture"]


@dataclass(frozen=True)
class Metadata:
    """What goes with the pixels from file to file."""

    icc: bytes | None = None
    """The colour profile."""
    exif: bytes | None = None
    """EXIF as a TIFF structure without the ``Exif`` prefix; its orientation is 1."""
    xmp: bytes | None = None
    """XMP, the XML packet."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontal and vertical."""


@dataclass(frozen=True)
class Picture:
    """A picture upright in memory."""

    pixels: NDArray[Any]
    """(H, W, C), uint8 or uint16; C is 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA (alpha not premultiplied)."""
    metadata: Metadata = field(default_factory=Metadata)
    format: str = "png"
    """The file's format, a key of `upres.images.FORMATS`."""
    notices: tuple[str, ...] = ()
    """What the reader could not keep, in sentences for a person."""
    jpeg_quality: int | None = None
    """The quality, 1 to 100, of the JPEG that the pixels come from, as `upres.images.jpeg_quality` tells it."""

    def rgb8(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: grey repeated, alpha left out, 16 bits rounded."""
        colour = self.pixels[..., :1] if self.pixels.shape[2] < 3 else self.pixels[..., :3]
        if colour.dtype == np.uint16:
            colour = to_8_bits(colour)
        return np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)), np.uint8)


def to_8_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """uint16 in 0..65535 rounded to uint8 in 0..255."""
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
