"""Writing TIFF in strips, with the tags and the EXIF of the picture that it came from."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from upres.images.exif import DESCRIPTION, DESCRIPTIVE, EXIF_IFD, GPS_IFD, as_bytes, parse
from upres.images.picture import Metadata
from upres.images.rows import side_by_side, strips

__all__ = ["write_tiff"]

STRIP_ROWS = 64
XMP = 700


def write_tiff(
    file: BinaryIO,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    bands: Iterable[NDArray[Any]],
    metadata: Metadata,
) -> None:
    """Write a deflated TIFF (BigTIFF from 4 GB on) strip by strip.

    Args:
        file: open for reading and writing in binary mode.
        shape: height, width and channels (1 to 4) of the whole picture.
        dtype: uint8 or uint16.
        bands: (h, W, C) arrays, from top to bottom.
        metadata: the profile, the resolution, XMP, and EXIF with its sub-directories.
    """
    import tifffile

    height, width, channels = shape
    exif = parse(metadata.exif)
    texts = {tag: as_bytes(exif[tag]) for tag in DESCRIPTIVE & set(exif)}
    directories = {tag: exif.get_ifd(tag) for tag in (EXIF_IFD, GPS_IFD) if exif.get_ifd(tag)}
    extra: list[tuple[Any, ...]] = [(tag, "s", 0, text, True) for tag, text in texts.items() if tag != DESCRIPTION]
    # tifffile does not write pointers to directories: these stand in for them until the end.
    extra += [(tag - 1, "I", 1, 0, True) for tag in directories]
    if metadata.xmp:
        extra.append((XMP, "B", len(metadata.xmp), metadata.xmp, True))
    big = height * width * channels * dtype.itemsize > 2**32 - 2**25
    with tifffile.TiffWriter(file, bigtiff=big, byteorder="<") as tiff:
        tiff.write(
            side_by_side(_encoded, strips(bands, STRIP_ROWS)),
            shape=(height, width) if channels == 1 else shape,
            dtype=dtype,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            compression="zlib",
            predictor=2,
            rowsperstrip=STRIP_ROWS,
            iccprofile=metadata.icc,
            resolution=metadata.dpi,
            resolutionunit="inch" if metadata.dpi else None,
            description=texts.get(DESCRIPTION),
            software=False,
            metadata=None,
            extratags=sorted(extra),
        )
    _append_directories(file, directories, big)


def _encoded(strip: NDArray[Any]) -> bytes:
    """Every sample as the difference from its left neighbour (TIFF 6.0, section 14), deflated."""
    from isal import isal_zlib

    differences = np.array(strip, strip.dtype.newbyteorder("<"), order="C")
    differences[:, 1:] -= strip[:, :-1]
    return isal_zlib.compress(differences, 2)


def _append_directories(file: BinaryIO, directories: dict[int, dict[int, Any]], big: bool) -> None:
    """Write EXIF and GPS behind the picture and point their tags there."""
    import tifffile
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    header = b"II\x2b\0\x08\0\0\0\0\0\0\0\0\0\0\0" if big else b"II\x2a\0\0\0\0\0"
    for tag, entries in directories.items():
        directory = ImageFileDirectory_v2(header)
        for key, value in entries.items():
            directory[key] = as_bytes(value)
        offset = file.seek(0, io.SEEK_END)
        file.write(b"\0" * (offset % 2))
        offset += offset % 2
        file.write(directory.tobytes(offset))
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            stand_in = tiff.pages.first.tags[tag - 1]
            stand_in.overwrite(offset)
        file.seek(stand_in.offset)
        file.write(tag.to_bytes(2, "little"))
