"""EXIF: out of every format into one block, made true for the new picture; and XMP, which repeats parts of it."""

from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path
from typing import Any

__all__ = [
    *("PREFIX", "as_bytes", "exif_of_tiff", "parse"),
    *("resized", "resolution", "restated", "upright", "with_resolution"),
]

DESCRIPTION, MAKE, MODEL, ORIENTATION = 0x10E, 0x10F, 0x110, 0x112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x11A, 0x11B, 0x128
SOFTWARE, DATE_TIME, ARTIST, COPYRIGHT = 0x131, 0x132, 0x13B, 0x8298
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
DESCRIPTIVE = {DESCRIPTION, MAKE, MODEL, SOFTWARE, DATE_TIME, ARTIST, COPYRIGHT}

SHORT, LONG = 3, 4
PREFIX = b"Exif\0\0"

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
            exif.load(block if block.startswith(PREFIX) else PREFIX + block)
            for ifd in (EXIF_IFD, GPS_IFD):
                exif.get_ifd(ifd)
    except DAMAGED:
        return Image.Exif()
    return exif


def upright(block: bytes | None) -> bytes | None:
    """The block, without prefix, of a picture whose orientation has been applied; None if it is damaged.

    Everything else stays as it is, to the byte: texts of any encoding, makers' notes and their offsets.
    """
    if not block or not len(parse(block)):
        return None
    return _changed(block.removeprefix(PREFIX), {ORIENTATION: 1})


def resized(block: bytes, height: int, width: int) -> bytes:
    """The block with the picture's size, where it states one, changed."""
    return _changed(block, {PIXEL_WIDTH: width, PIXEL_HEIGHT: height})


def restated(xmp: bytes, values: dict[str, int]) -> bytes:
    """The XMP with the values of some numeric properties, where it states them, changed."""
    for name, value in values.items():
        xmp = re.sub(rf"(\b{name}\s*(?:=\s*[\"']|>)\s*)\d+".encode(), rb"\g<1>%d" % value, xmp)
    return xmp


def _changed(block: bytes, values: dict[int, int]) -> bytes:
    """The block with the values of some numeric tags overwritten where they stand."""
    made = bytearray(block)
    order = {b"II": "<", b"MM": ">"}.get(bytes(made[:2]))
    if order is None:
        return block
    try:
        directories = [struct.unpack_from(order + "I", made, 4)[0]]
        for start in directories:
            for entry in range(struct.unpack_from(order + "H", made, start)[0]):
                at = start + 2 + 12 * entry
                tag, kind, count, value = struct.unpack_from(order + "HHII", made, at)
                if tag == EXIF_IFD and len(directories) == 1:
                    directories.append(value)
                elif tag in values and kind in (SHORT, LONG) and count == 1:
                    fits = kind == SHORT and values[tag] < 2**16
                    struct.pack_into(
                        order + ("HHIHH" if fits else "HHII"),
                        made,
                        at,
                        tag,
                        SHORT if fits else LONG,
                        1,
                        values[tag],
                        *([0] if fits else []),
                    )
    except struct.error:
        return block
    return bytes(made)


def resolution(block: bytes | None) -> tuple[float, float] | None:
    """Pixels per inch as EXIF states them, or None."""
    if not block:
        return None
    exif = parse(block)
    try:
        per_inch = {2: 1.0, 3: 2.54}[int(exif.get(RESOLUTION_UNIT, 2))]
        x, y = (float(exif[tag]) * per_inch for tag in (X_RESOLUTION, Y_RESOLUTION))
    except (*DAMAGED, ZeroDivisionError):
        return None
    return (round(x, 2), round(y, 2)) if 0 < x < 1e6 and 0 < y < 1e6 else None


def with_resolution(block: bytes | None, dpi: tuple[float, float]) -> bytes:
    """The block with the resolution stated, for formats that have no other place for it."""
    if block and resolution(block) is not None:
        return block
    exif = parse(block)
    for tag in list(exif):
        exif[tag] = as_bytes(exif[tag])
    exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[RESOLUTION_UNIT] = *dpi, 2
    return bytes(exif.tobytes()).removeprefix(PREFIX)


def exif_of_tiff(path: Path) -> bytes | None:
    """A block of the tags of a TIFF that describe the photograph, without those that describe its layout."""
    from PIL import Image

    source, exif = Image.Exif(), Image.Exif()
    try:
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            source.load_from_fp(file)
            for tag in (DESCRIPTIVE | {ORIENTATION}) & set(source):
                exif[tag] = as_bytes(source[tag])
            for ifd in (EXIF_IFD, GPS_IFD):
                if ifd in source:
                    entries = source.get_ifd(ifd).items()
                    exif.get_ifd(ifd).update({tag: as_bytes(value) for tag, value in entries})
            return bytes(exif.tobytes()).removeprefix(PREFIX) if len(exif) else None
    except DAMAGED:
        return None


def as_bytes(value: Any) -> Any:
    """A text that is not ASCII, which Pillow would not write, as the bytes that Pillow read it from."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value
