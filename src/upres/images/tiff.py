"""Writing TIFF in strips, with the tags and the EXIF of the picture that it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from upres.images.picture import Metadata

__all__ = ["write_tiff"]

STRIP_ROWS = 64
EXIF_IFD, GPS_IFD = 0x8769, 0x8825


def write_tiff(
    file: BinaryIO, shape: tuple[int, int, int], dtype: np.dtype[Any], bands: Iterable[NDArray[Any]], metadata: Metadata
) -> None:
    """Write a deflated TIFF (BigTIFF from 4 GB on) strip by strip.

    Args:
        file: open for reading and writing in binary mode.
        shape: height, width and channels (1 to 4) of the whole picture.
        dtype: uint8 or uint16.
        bands: (h, W, C) arrays, from top to bottom.
        metadata: the profile, the resolution, and EXIF with its sub-directories.
    """
    import tifffile

    height, width, channels = shape
    big = height * width * channels * dtype.itemsize > 2**32 - 2**25
    with tifffile.TiffWriter(file, bigtiff=big) as tiff:
        tiff.write(
            _strips(bands, STRIP_ROWS),
            shape=(height, width) if channels == 1 else shape,
            dtype=dtype,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            compression="zlib",
            compressionargs={"level": 1},
            predictor=2,
            rowsperstrip=STRIP_ROWS,
            iccprofile=metadata.icc,
            resolution=metadata.dpi,
            resolutionunit="inch" if metadata.dpi else None,
            software=False,
            metadata=None,
        )


def _strips(bands: Iterable[NDArray[Any]], rows: int) -> Iterator[NDArray[Any]]:
    """The same rows in strips of equal height, the last one shorter."""
    rest: NDArray[Any] | None = None
    for band in bands:
        rest = band if rest is None else np.concatenate([rest, band])
        while len(rest) >= rows:
            yield rest[:rows]
            rest = rest[rows:]
    if rest is not None and len(rest):
        yield rest
