"""What a PNG says before its pixels."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

__all__ = ["png_chunks", "png_notices"]

CHUNK_LENGTHS = {b"pHYs": 9, b"acTL": 8, b"gAMA": 4, b"cHRM": 32, b"cICP": 4}
XMP_KEYWORD = b"XML:com.adobe.xmp\0"
SRGB = {  # ISO/IEC 15948, 11.3.3.5, in 100,000ths
    b"gAMA": (45455,),
    b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}
SRGB_CODES = bytes([1, 13])  # ITU-T H.273: primaries and transfer


def png_chunks(path: Path) -> dict[bytes, bytes]:
    """The chunks before the pixels, but XMP, each with its first bytes."""
    chunks = {}
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            length = struct.unpack(">I", head[:4])[0]
            start = file.read(min(length, 32))
            if len(start) == CHUNK_LENGTHS.get(head[4:], len(start)) and not start.startswith(XMP_KEYWORD):
                chunks[head[4:]] = start
            file.seek(length - len(start) + 4, io.SEEK_CUR)
    return chunks


def png_notices(chunks: dict[bytes, bytes]) -> tuple[str, ...]:
    """What upres leaves out of a PNG of these chunks, in sentences for a person."""
    notices = []
    if not _is_srgb(chunks):
        notices.append("states a gamma or primaries of its own; they are left out, so that colours may look different")
    if chunks.keys() & {b"tEXt", b"zTXt", b"iTXt"}:
        notices.append("holds texts; they are left out")
    return tuple(notices)


def _is_srgb(chunks: dict[bytes, bytes]) -> bool:
    """Whether a PNG without a profile shows as sRGB; the first of cICP, iCCP, sRGB, and gAMA with cHRM counts."""
    if b"cICP" in chunks:
        return chunks[b"cICP"][:2] == SRGB_CODES
    if chunks.keys() & {b"iCCP", b"sRGB"}:
        return True
    stated = SRGB.keys() & chunks.keys()
    return all(np.allclose(np.frombuffer(chunks[name], ">u4"), SRGB[name], rtol=0, atol=100) for name in stated)
