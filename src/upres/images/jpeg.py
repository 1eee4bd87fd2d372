"""Writing JPEG in strips, encoded by all cores.

libjpeg's encoder, as Pillow has it, wants the whole picture. Here it encodes strips of rows, each as a JPEG of its own;
their scans with restart markers between them are one scan (ITU-T T.81, B.2.1). The pixels are those of the whole
encoded at once, since all that blocks know of each other is the last one's mean, which restarts forget.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from upres.images.picture import Metadata, Picture
from upres.images.pillow import save, to_pillow
from upres.images.rows import side_by_side, strips
from upres.images.segments import FRAMES, SCAN, segments

__all__ = ["write_jpeg"]

FULL_CHROMA = 90  # the quality from which on chroma has the resolution of luma
STRIP = 2**18  # pixels of a strip, about
LONGEST = 2**16 - 1  # units between two restarts
START, END, INTERVAL, RESTART = b"\xff\xd8", b"\xff\xd9", 0xDD, 0xD0


def write_jpeg(
    file: BinaryIO, shape: tuple[int, int, int], bands: Iterable[NDArray[np.uint8]], metadata: Metadata, quality: int
) -> None:
    """Write a baseline JPEG band by band.

    Args:
        file: open for writing in binary mode.
        shape: height, width and channels (1 or 3) of the whole picture.
        bands: (h, W, C) arrays, from top to bottom.
        metadata: the profile, the resolution, XMP, and EXIF to the byte.
        quality: 1 to 100, on the scale of the Independent JPEG Group.
    """
    height, width, channels = shape
    side = 8 if channels == 1 or quality >= FULL_CHROMA else 16  # of the unit that all components make up
    across = -(-width // side)
    down = max(1, min(STRIP // (side * width), LONGEST // across))
    header, _ = _encoded(Picture(np.zeros((1, 1, channels), np.uint8), metadata), quality)
    file.write(START)
    for marker, body in header:
        if marker in FRAMES:
            body = body[:1] + struct.pack(">HH", height, width) + body[5:]
        if marker == SCAN:
            file.write(_segment(INTERVAL, struct.pack(">H", across * down)))
        file.write(_segment(marker, body))
    made = side_by_side(lambda strip: _encoded(Picture(strip), quality), strips(bands, side * down))
    for number, (_, scan) in enumerate(made):
        if number:
            file.write(bytes([0xFF, RESTART + (number - 1) % 8]))
        file.write(scan)
    file.write(END)


def _encoded(picture: Picture, quality: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """The segments and the scan of a picture as a JPEG."""
    chroma = "4:4:4" if quality >= FULL_CHROMA else "4:2:0"
    with tempfile.TemporaryFile() as file:  # only while it encodes into a real one, Pillow lets other threads work
        save(file, "JPEG", to_pillow(picture), picture.metadata, quality=quality, subsampling=chroma)
        file.seek(0)
        return list(segments(file)), file.read().removesuffix(END)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
