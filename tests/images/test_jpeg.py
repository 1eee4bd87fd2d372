"""A JPEG that is written in strips, against libjpeg's of the whole picture."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from upres.images import Metadata, Picture, read, write
from upres.images.jpeg import write_jpeg


def whole(pixels: NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, "JPEG", quality=quality, subsampling="4:4:4" if quality >= 90 else "4:2:0")
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 75, 89, 90, 92, 100])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (700, 33), (513, 1999)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, photograph: Any, shape: tuple[int, int], channels: int, quality: int
) -> None:
    monkeypatch.setattr("upres.images.jpeg.STRIP", 2**13)  # more strips than there are kinds of restart markers
    pixels = np.tile(photograph, (20, 20, 1))[: shape[0], : shape[1], :channels]
    bands = [pixels[:5], pixels[5:6], pixels[6:]]
    file = io.BytesIO()
    write_jpeg(file, pixels.shape, bands, Metadata(), quality)
    expected = whole(pixels, quality)
    with Image.open(file) as made, Image.open(io.BytesIO(expected)) as theirs:
        assert np.array_equal(np.asarray(made), np.asarray(theirs))
    assert len(file.getvalue()) < 1.04 * len(expected) + 60


def test_the_widest_picture_has_strips_that_a_restart_interval_can_state(tmp_path: Path, photograph: Any) -> None:
    pixels = np.tile(photograph, (1, 65500 // photograph.shape[1] + 1, 1))[:100, :65500]
    write(tmp_path / "a.jpg", Picture(pixels))
    with Image.open(io.BytesIO(whole(pixels, 92))) as expected:
        assert np.array_equal(read(tmp_path / "a.jpg").pixels, np.asarray(expected))


def test_a_profile_of_several_segments_stands_in_the_file_once(tmp_path: Path, of_kind: Any) -> None:
    icc = np.random.default_rng(0).bytes(150_000)
    pixels = np.tile(of_kind(3, np.uint8), (40, 20, 1))
    write(tmp_path / "a.jpg", Picture(pixels, Metadata(icc)))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == icc
    assert (tmp_path / "a.jpg").read_bytes().count(b"ICC_PROFILE\0") == 3


def test_most_is_written_before_the_last_rows_are_there(monkeypatch: pytest.MonkeyPatch, photograph: Any) -> None:
    monkeypatch.setattr("upres.images.jpeg.STRIP", 2**12)
    file, written = io.BytesIO(), []

    def bands() -> Iterator[NDArray[np.uint8]]:
        for _ in range(20):
            yield photograph
            written.append(file.tell())

    height, width, channels = photograph.shape
    write_jpeg(file, (20 * height, width, channels), bands(), Metadata(), 92)
    assert written[-1] > 0.9 * file.tell()
