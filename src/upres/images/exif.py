"""EXIF: out of every format into one block, made true for the new picture."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

__all__ = ["exif_of_tiff", "parse", "resized", "resolution", "upright"]

DESCRIPTION, MAKE, MODEL, ORIENTATION = 0x10E, 0x10F, 0x110, 0x112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x11A, 0x11B, 0x128
SOFTWARE, DATE_TIME, ARTIST, COPYRIGHT = 0x131, 0x132, 0x13B, 0x8298
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
DESCRIPTIVE = {DESCRIPTION, MAKE, MODEL, SOFTWARE, DATE_TIME, ARTIST, COPYRIGHT}

# What Pillow raises on EXIF that is damaged, which is no reason to refuse a picture.
DAMAGED = (SyntaxError, ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, struct.error)


def parse(block: bytes | None) -> Any:
    """A Pillow ``Exif`` of a block with or without its ``Exif`` prefix; empty if it is damaged."""
    from PIL import Image

    exif = Image.Exif()
    if not block:
        return exif
    try:
        with warnings.catch_warnings(action="ignore"):
            exif.load(block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block)
            for ifd in (EXIF_IFD, GPS_IFD):
                exif.get_ifd(ifd)
    except DAMAGED:
        return Image.Exif()
    return exif


def upright(exif: Any) -> bytes | None:
    """The block, without prefix, of a picture whose orientation has been applied; None if there is none."""
    try:
        if ORIENTATION in exif:
            exif[ORIENTATION] = 1
        return bytes(exif.tobytes()).removeprefix(b"Exif\0\0") if len(exif) else None
    except DAMAGED:
        return None


def resized(block: bytes, height: int, width: int) -> bytes:
    """The block with the picture's size, where it states one, changed."""
    exif = parse(block)
    inner = exif.get_ifd(EXIF_IFD)
    if PIXEL_WIDTH not in inner and PIXEL_HEIGHT not in inner:
        return block
    inner[PIXEL_WIDTH], inner[PIXEL_HEIGHT] = width, height
    return upright(exif) or block


def resolution(exif: Any) -> tuple[float, float] | None:
    """Pixels per inch as EXIF states them, or None."""
    try:
        per_inch = {2: 1.0, 3: 2.54}[int(exif.get(RESOLUTION_UNIT, 2))]
        x, y = (float(exif[tag]) * per_inch for tag in (X_RESOLUTION, Y_RESOLUTION))
    except (*DAMAGED, ZeroDivisionError):
        return None
    return (round(x, 2), round(y, 2)) if 0 < x < 1e6 and 0 < y < 1e6 else None


def exif_of_tiff(path: Path) -> Any:
    """The tags of a TIFF that describe the photograph, without those that describe its layout."""
    from PIL import Image

    source, exif = Image.Exif(), Image.Exif()
    try:
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            source.load_from_fp(file)
            for tag in (DESCRIPTIVE | {ORIENTATION}) & set(source):
                exif[tag] = source[tag]
            for ifd in (EXIF_IFD, GPS_IFD):
                if ifd in source:
                    exif.get_ifd(ifd).update(source.get_ifd(ifd))
    except DAMAGED:
        return Image.Exif()
    return exif
