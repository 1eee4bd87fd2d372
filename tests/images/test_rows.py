from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upres.errors import ImageError
from upres.images import Picture, Rows, read, read_rows, write
from upres.images.rows import strips


@pytest.mark.parametrize("form", ["png", "tiff", "jpeg", "webp", "avif", "bmp", "gif"])
def test_rows_are_those_of_the_whole_picture(tmp_path: Path, photograph: Any, form: str) -> None:
    write(tmp_path / "a", Picture(photograph), format=form)
    picture, source = read(tmp_path / "a"), read_rows(tmp_path / "a")
    height = picture.pixels.shape[0]
    windows = [source.rows.window(start, min(start + 50, height)) for start in range(0, height, 37)]
    assert source.rows.shape == picture.pixels.shape
    assert (source.metadata, source.format) == (picture.metadata, picture.format)
    for number, window in enumerate(windows):
        assert np.array_equal(window, picture.pixels[37 * number : 37 * number + 50])


def test_rows_that_were_let_go_are_not_given() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(10, 2, 1)
    rows = Rows(pixels.shape, pixels.dtype, [pixels[:3], pixels[3:4], pixels[4:]])
    assert np.array_equal(rows.window(5, 7), pixels[5:7])
    assert np.array_equal(rows.window(6, 10), pixels[6:])
    with pytest.raises(ValueError, match="row 5 was let go"):
        rows.window(5, 7)


@pytest.mark.parametrize("form", ["png", "tiff", "jpeg"])
def test_a_file_cut_short_is_named_when_its_rows_are_asked_for(tmp_path: Path, photograph: Any, form: str) -> None:
    write(tmp_path / "whole", Picture(photograph), format=form)
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ImageError, match=r"cut: cannot be decoded; it may be damaged or cut short"):
        read_rows(tmp_path / "cut").rows.window(0, photograph.shape[0])


@pytest.mark.parametrize("cuts", [[], [1], [63, 64, 65], [10, 20, 199]])
def test_strips_do_not_depend_on_bands(cuts: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 3, 3), np.uint8)
    made = list(strips(np.split(pixels, cuts), 64))
    assert [len(strip) for strip in made] == [64, 64, 64, 8]
    assert np.array_equal(np.concatenate(made), pixels)
