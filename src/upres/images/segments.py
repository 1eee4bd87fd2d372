"""What a JPEG says before its pixels: how good it is, by its quantisation table, and how many pictures its file holds.

Pillow's ``quantization`` is that table, too, but to open a file with it brings a limit of pixels, warnings, and errors
of many kinds; the few segments before the pixels are quickly walked through.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from upres.images.exif import parse

__all__ = ["FRAMES", "SCAN", "frame_count", "jpeg_quality", "segments", "table_quality"]

# Luma at quality 50: ITU-T T.81 (09/92), Annex K, table K.1.
STANDARD = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
).ravel()

DIAGONALS = np.indices((8, 8)).sum(0).ravel()
ROWS = np.arange(64) // 8
ZIGZAG = np.lexsort((np.where(DIAGONALS % 2, ROWS, -ROWS), DIAGONALS))  # T.81, figure A.6: where the k-th value belongs

START, SCAN, TABLES, APP2, FILL = 0xD8, 0xDA, 0xDB, 0xE2, 0xFF
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # baseline to arithmetic; the others are no frames
MULTI_PICTURE, NUMBER_OF_IMAGES = b"MPF\0", 0xB001
MOST_SEGMENTS = 4096  # of 64 KiB each; no file needs more before its pixels


def jpeg_quality(source: Path | str | bytes) -> int | None:
    """The quality, 1 to 100, that a JPEG was written with, by the scale of the Independent JPEG Group.

    Args:
        source: the path of a file, or a file's bytes; only what precedes the pixels is read.

    Returns:
        What `table_quality` makes of the table of the first component, luma; None if there is none: the file is not
        there, no JPEG, cut short or damaged. Nothing is raised.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            table = _luma_table(file)
    except (OSError, ValueError, IndexError, struct.error):
        return None
    return None if table is None else table_quality(table)


def frame_count(path: Path) -> int:
    """How many pictures a JPEG file holds: further views, previews or a gain map may follow the first.

    As its multi-picture index (CIPA DC-007, 5.2.3) states; 1 where there is none.
    """
    try:
        with path.open("rb") as file:
            for marker, body in segments(file):
                if marker == APP2 and body.startswith(MULTI_PICTURE):
                    return int(parse(body.removeprefix(MULTI_PICTURE)).get(NUMBER_OF_IMAGES, 1))
    except (OSError, ValueError, TypeError, struct.error):
        pass
    return 1


def table_quality(table: Sequence[int] | NDArray[Any]) -> int | None:
    """The quality, 1 to 100, whose luma table by the Independent JPEG Group is nearest to a table.

    That of files that its software, or any that scales the same table, wrote is exact. Cameras and Photoshop have
    tables of their own; steps are compared by their ratios, so that the coarse ones of high frequencies do not decide.

    Args:
        table: 64 steps in rows from top to bottom, above 0; not in zigzag order.

    Returns:
        The quality; None if the table is none.
    """
    steps = np.asarray(table, np.float64)
    if steps.shape != (64,) or not (steps > 0).all():
        return None
    return min(range(1, 101), key=lambda quality: float(np.abs(np.log(steps / _scaled(quality, steps.max()))).sum()))


def _scaled(quality: int, largest: float) -> NDArray[np.int64]:
    """The standard table as libjpeg's ``jpeg_set_quality`` scales it, for tables of 8 bits or more."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((STANDARD * percent + 50) // 100).clip(1, 255 if largest < 256 else 32767)


def _luma_table(file: BinaryIO) -> NDArray[np.int64] | None:
    """The table of the first component."""
    tables: dict[int, NDArray[np.int64]] = {}
    number = 0
    for marker, body in segments(file):
        if marker == SCAN:
            return tables.get(number)
        if marker == TABLES:
            tables |= _tables(body)
        elif marker in FRAMES:
            number = body[8]
    return None


def segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and body of a JPEG's segments up to the first scan's, behind which the file then stands."""
    if file.read(2) != bytes([FILL, START]):
        return
    for _ in range(MOST_SEGMENTS):
        prefix, marker = file.read(2)
        if marker == FILL:
            file.seek(-1, io.SEEK_CUR)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if prefix != FILL or length < 2:
            break
        yield marker, file.read(length - 2)
        if marker == SCAN:
            break


def _tables(segment: bytes) -> dict[int, NDArray[np.int64]]:
    """Number to table, in rows, of a segment that may hold several."""
    tables = {}
    while segment:
        dtype = np.dtype(">u2" if segment[0] >> 4 else "u1")
        tables[segment[0] & 15] = table = np.zeros(64, np.int64)
        table[ZIGZAG] = np.frombuffer(segment, dtype, 64, offset=1)
        segment = segment[1 + 64 * dtype.itemsize :]
    return tables
