"""Pillow images keep what their files keep."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from upres.errors import ImageError
from upres.images import Metadata, Picture, read, write
from upres.images.pillow import from_pillow, to_pillow


@pytest.mark.parametrize(("mode", "key"), [("1", 255), ("L", 93), ("I;16", 93), ("RGB", (93, 92, 86)), ("P", 3)])
def test_a_colour_that_stands_for_transparency_becomes_alpha_as_in_files(
    tmp_path: Path, photograph: Any, mode: str, key: Any
) -> None:
    image = Image.fromarray(photograph)
    image = image.quantize(16) if mode == "P" else image.convert("L" if mode == "I;16" else mode).convert(mode)
    if mode == "RGB":
        image.putpixel((0, 0), key)
    image.save(tmp_path / "a.png", transparency=key)
    with Image.open(tmp_path / "a.png") as opened:
        made = from_pillow(opened).pixels
    assert set(np.unique(made[..., -1])) == {0, np.iinfo(made.dtype).max}
    assert np.array_equal(made, read(tmp_path / "a.png").pixels)


def test_a_palette_with_alpha_keeps_it() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80], "RGBA")
    image.putpixel((1, 0), 1)
    assert from_pillow(image).pixels.tolist() == [[[10, 20, 30, 40], [50, 60, 70, 80]]]


def test_a_profile_that_is_broken_is_said() -> None:
    image = Image.new("CMYK", (2, 2))
    image.info["icc_profile"] = b"broken"
    with pytest.raises(ImageError, match="profile cannot be used"):
        from_pillow(image)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff"])
def test_what_a_file_says_goes_along(tmp_path: Path, photograph: Any, form: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    metadata = Metadata(b"profile", b"II*\0\x08\0\0\0\0\0\0\0\0\0", xmp, (300.0, 300.0))
    write(tmp_path / f"a.{form}", Picture(photograph, metadata))
    with Image.open(tmp_path / f"a.{form}") as image:
        said = to_pillow(from_pillow(image)).info
    assert said["icc_profile"] == b"profile"
    assert said["xmp"] == xmp.replace(b"6", b"1")
    if form != "webp":  # there it stands in EXIF
        assert said["dpi"] == pytest.approx((300, 300), abs=0.1)
