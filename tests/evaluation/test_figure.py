from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.evaluation.figure import Region, check_regions, comparison, draw_comparisons, hardest_region, parse_regions
from upres.evaluation.methods import open_method
from upres.evaluation.pairs import find_pairs
from upres.images import Picture, read, write


def test_the_hardest_region_is_where_the_error_is(photograph: NDArray[np.uint8]) -> None:
    spoilt = photograph.copy()
    spoilt[50:82, 100:132] = 255 - spoilt[50:82, 100:132]
    assert hardest_region(photograph, spoilt, side=32) == Region(100, 50, 32, 32)
    assert hardest_region(photograph[:20], photograph[:20], side=64).height == 20


def test_the_figure_shows_the_regions_pixels_enlarged(photograph: NDArray[np.uint8]) -> None:
    region = Region(30, 40, 64, 48)
    sr = 255 - photograph
    figure = comparison(photograph, {"negative": sr}, region, shave=4)
    assert figure.dtype == np.uint8
    for pixels in (region.of(photograph), region.of(sr)):
        enlarged = pixels.repeat(3, axis=0).repeat(3, axis=1)
        height, width = enlarged.shape[:2]
        places = [
            (top, left)
            for top in range(figure.shape[0] - height + 1)
            for left in range(figure.shape[1] - width + 1)
            if np.array_equal(figure[top, left : left + width], enlarged[0])
        ]
        assert any(np.array_equal(figure[y : y + height, x : x + width], enlarged) for y, x in places)


def test_a_region_outside_is_refused(photograph: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="does not lie within an image of 240x176"):
        comparison(photograph, {}, Region(200, 0, 64, 64), shave=2)
    with pytest.raises(ValueError, match="LEFT,TOP,WIDTHxHEIGHT"):
        parse_regions(["cat:1,2"])


def test_figures_of_all_images_or_of_the_chosen_one(tmp_path: Path, photograph: NDArray[np.uint8]) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.png", Picture(photograph))
    pairs, methods = find_pairs(tmp_path, 2), [open_method("bicubic", 2), open_method("fast_x2", None)]
    assert [path.name for path in draw_comparisons(tmp_path / "all", methods, pairs, {})] == ["a.png", "b.png"]
    (only,) = draw_comparisons(tmp_path / "one", methods, pairs, parse_regions(["b:10,20,40x30"]))
    assert only.name == "b.png"
    assert read(only).pixels.shape[2] == 3
    with pytest.raises(ImageError, match="no image c; there are a, b"):
        check_regions(parse_regions(["c:0,0,9x9"]), pairs)
    with pytest.raises(ImageError, match=r"b.png: 0,0,900x9 does not lie within an image of 240x176"):
        check_regions(parse_regions(["a:0,0,9x9", "b:0,0,900x9"]), pairs)


def test_a_long_name_stays_below_its_own_picture(photograph: NDArray[np.uint8]) -> None:
    region = Region(30, 40, 64, 48)
    short, long = (comparison(photograph, {name: photograph}, region, shave=4) for name in ("n", "n" * 60))
    changed = np.flatnonzero((short != long).any(axis=(0, 2)))
    assert 0 < np.ptp(changed) <= 192
