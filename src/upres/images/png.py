"""A streaming PNG encoder for pictures of millions of pixels.

Encoding would be most of the time that a 4K picture takes. Rows filtered by "up" and
deflated by ISA-L took a fourteenth of the time of Pillow at its fastest level, in a smaller file:
`benchmarks/png_encoding.py` measures it. Strips of rows are deflated by all cores, each on its own; a flush to
the next byte between them makes one stream of them (RFC 1951, section 3.2.4, an empty stored block).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from upres.images.picture import Metadata
from upres.images.rows import side_by_side, strips

__all__ = ["write_png"]

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2
STRIP = 2**20  # bytes of a strip, about: it stays in a core's cache, and deflating it on its own costs no size
RAW = -15  # deflate without what zlib puts around it
ZLIB_HEADER = b"\x78\x01"  # RFC 1950: deflate, a window of 32 KiB, the fastest level


def write_png(
    file: BinaryIO, shape: tuple[int, int, int], dtype: np.dtype[Any], bands: Iterable[NDArray[Any]], metadata: Metadata
) -> None:
    """Write a PNG (ISO/IEC 15948) band by band.

    Args:
        file: open for writing in binary mode.
        shape: height, width and channels (1 to 4) of the whole picture.
        dtype: uint8 or uint16.
        bands: (h, W, C) arrays, from top to bottom.
        metadata: written as iCCP, eXIf and pHYs chunks.
    """
    from isal import isal_zlib

    height, width, channels = shape
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * dtype.itemsize, COLOUR_TYPES[channels], 0, 0, 0))
    if metadata.icc:
        _chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        per_metre = [round(dpi / 0.0254) for dpi in metadata.dpi]
        _chunk(file, b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if metadata.xmp:
        _chunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    if metadata.exif:
        _chunk(file, b"eXIf", metadata.exif)

    rows_of_strip = max(1, STRIP // (width * channels * dtype.itemsize))
    checksum, start = 1, ZLIB_HEADER
    for filtered, deflated in side_by_side(_deflated, _with_row_above(strips(bands, rows_of_strip))):
        _chunk(file, b"IDAT", start + deflated)
        checksum, start = isal_zlib.adler32(filtered, checksum), b""
    _chunk(file, b"IDAT", isal_zlib.compressobj(2, isal_zlib.DEFLATED, RAW).flush() + struct.pack(">I", checksum))
    _chunk(file, b"IEND", b"")


def _with_row_above(bands: Iterable[NDArray[Any]]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Each band with the row of the picture above it, (1, W, C); zeros above the first."""
    above: NDArray[Any] | None = None
    for band in bands:
        yield np.zeros_like(band[:1]) if above is None else above, band
        above = band[-1:].copy()


def _deflated(strip: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[np.uint8], bytes]:
    """A strip filtered, with the filter's number before each row; and deflated, ending with a byte."""
    from isal import isal_zlib

    above, rows = (_big_endian(samples) for samples in strip)
    filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    np.subtract(rows[0], above[0], out=filtered[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    deflate = isal_zlib.compressobj(2, isal_zlib.DEFLATED, RAW)
    return filtered, deflate.compress(filtered) + deflate.flush(isal_zlib.Z_SYNC_FLUSH)


def _big_endian(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """(h, W, C) as (h, bytes of a row)."""
    ordered = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">"))
    return ordered.view(np.uint8).reshape(len(samples), -1)


def _chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
    from isal import isal_zlib  # its checksum takes a third of zlib's time

    if name == b"IDAT" and not data:
        return
    file.write(struct.pack(">I", len(data)) + name)
    file.write(data)
    file.write(struct.pack(">I", isal_zlib.crc32(data, isal_zlib.crc32(name))))
