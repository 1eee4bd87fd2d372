"""How good a JPEG is, against libjpeg and T.81."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from upres.images import Picture, jpeg_quality, read, write
from upres.images.pillow import from_pillow
from upres.images.segments import table_quality

K1 = """
16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55   14 13 16 24  40  57  69  56   14 17 22 29  51  87  80  62
18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92   49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99
"""


def jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def luma_table(quality: int) -> bytes:
    """In zigzag order, as it stands in a file of libjpeg."""
    return jpeg(np.zeros((8, 8), np.uint8), quality=quality).partition(b"\xff\xdb\0\x43\0")[2][:64]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def frame(*tables: int) -> bytes:
    components = [struct.pack("BBB", number, 0x11, table) for number, table in enumerate(tables, 1)]
    return struct.pack(">BHHB", 8, 16, 16, len(tables)) + b"".join(components)


SCAN = segment(0xDA, bytes(8))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4", "optimize": True}])
def test_what_libjpeg_wrote_is_told_exactly(of_kind: Any, options: dict[str, Any]) -> None:
    pixels = of_kind(3, np.uint8)
    for quality in range(1, 101):
        assert jpeg_quality(jpeg(pixels, quality=quality, **options)) == quality


def test_the_table_of_the_standard_is_quality_50() -> None:
    steps = np.array(K1.split(), int)
    assert table_quality(steps) == 50
    assert table_quality(steps // 2 + steps % 2) == 75
    assert table_quality([1] * 64) == 100


def test_tables_of_16_bits_and_below_libjpegs_baseline() -> None:
    wide = struct.pack(">64H", *(50 * step for step in luma_table(50)))  # quality 1
    for start_of_frame in (0xC1, 0xC2, 0xC9, 0xCA):  # sequential, progressive, both with arithmetic coding
        body = segment(0xDB, b"\x10" + wide) + segment(start_of_frame, frame(0)) + SCAN
        assert jpeg_quality(b"\xff\xd8" + body) == 1


def test_the_first_components_table_counts_wherever_it_stands() -> None:
    good, bad = (luma_table(quality) for quality in (90, 20))
    both = segment(0xDB, b"\0" + bad + b"\x01" + good)
    apart = segment(0xDB, b"\x01" + good) + segment(0xDB, b"\0" + bad)
    comment = segment(0xFE, segment(0xDB, b"\x01" + bad))
    for tables in (both, apart, b"\xff\xff" + apart):
        for header in (tables + comment + segment(0xC0, frame(1, 0)), segment(0xC0, frame(1, 0)) + comment + tables):
            assert jpeg_quality(b"\xff\xd8" + header + SCAN) == 90


def test_photoshops_tables_come_in_order(of_kind: Any) -> None:
    presets = ("web_low", "web_medium", "web_high", "web_very_high", "web_maximum")
    told = [jpeg_quality(jpeg(of_kind(3, np.uint8), quality=preset)) or 0 for preset in presets]
    assert told == sorted(told)
    assert told[0] < 60
    assert told[-1] > 95


def test_headers_that_are_cut_or_spoilt_raise_nothing(of_kind: Any, tmp_path: Path) -> None:
    whole = jpeg(of_kind(3, np.uint8), quality=70, exif=Image.Exif().tobytes())
    scan = whole.index(b"\xff\xda")
    for length in range(scan):
        assert jpeg_quality(whole[:length]) is None
    random = np.random.default_rng(0)
    for _ in range(500):
        spoilt = np.frombuffer(whole[: scan + 4], np.uint8).copy()
        spoilt[random.integers(2, len(spoilt), 3)] = random.integers(0, 256, 3)
        assert jpeg_quality(spoilt.tobytes()) in {None, *range(1, 101)}
    for nothing in (b"", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff" * 10**6, b"\xff\xd8" + b"\xff\xfe\0\x02" * 10**5):
        assert jpeg_quality(nothing) is None
    assert jpeg_quality(b"\xff\xd8" + segment(0xDB, bytes(65)) + SCAN) is None  # steps of 0
    for path in (tmp_path, tmp_path / "none.jpg", "\0"):
        assert jpeg_quality(path) is None


def test_pictures_from_jpeg_files_know_their_quality(of_kind: Any, tmp_path: Path) -> None:
    pixels = of_kind(3, np.uint8)
    for form in ("png", "jpeg", "webp", "tiff"):
        write(tmp_path / f"a.{form}", Picture(pixels), quality=40 if form in ("jpeg", "webp") else None)
        assert read(tmp_path / f"a.{form}").jpeg_quality == (40 if form == "jpeg" else None)
    Image.fromarray(pixels).save(tmp_path / "b.tif", compression="jpeg", quality=40)
    assert read(tmp_path / "b.tif").jpeg_quality is None
    for mode in ("L", "CMYK"):
        Image.fromarray(pixels).convert(mode).save(tmp_path / "b.jpg", quality=55)
        assert read(tmp_path / "b.jpg").jpeg_quality == 55


def test_pillows_opened_jpegs_know_it_too(of_kind: Any) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    data = jpeg(of_kind(3, np.uint8), quality=35, exif=turned)
    with Image.open(io.BytesIO(data)) as image:
        picture = from_pillow(image)
        assert picture.jpeg_quality == 35
        assert picture.pixels.shape == (51, 37, 3)  # turned, too
        assert from_pillow(image.convert("L")).jpeg_quality is None
