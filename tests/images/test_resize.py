from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.images import read, resize, resize_bands

FACTORS = {"half": 0.5, "third": 1 / 3, "quarter": 0.25, "x2": 2, "x3": 3, "x4": 4, "x1_5": 1.5, "x0_7": 0.7}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_the_lr_images_that_matlab_made_are_reproduced(shared: Path, name: str, scale: int) -> None:
    files = sorted((shared / "data" / name / f"image_SRF_{scale}").glob("*_HR.*"))
    assert files
    for path in files:
        hr = read(path).pixels
        lr = read(path.with_name(path.name.replace("_HR", "_LR"))).pixels
        assert np.array_equal(resize(hr, lr.shape[:2]), lr), path.name


def test_reference_pairs_in_bytes_for_both_border_rules(shared: Path) -> None:
    pairs = np.load(shared / "reference/io/imresize.npz")
    names = [name for name in pairs if name.startswith("uint8_") and name != "uint8_input"]
    assert len(names) == 12
    for name in names:
        factor, border = name.removeprefix("uint8_").split("_")
        made = resize(pairs["uint8_input"], scale=FACTORS[factor], border=border)
        assert np.array_equal(made, pairs[name]), name


def test_reference_pairs_in_floating_point(shared: Path) -> None:
    pairs = np.load(shared / "reference/io/imresize.npz")
    for source in ("a", "b"):
        for factor, scale in FACTORS.items():
            made = resize(pairs[f"input_{source}"], scale=scale, border="symmetric")
            np.testing.assert_allclose(made, pairs[f"{source}_{factor}_aa"], atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_a_flat_image_stays_flat_in_its_own_dtype(dtype: Any) -> None:
    flat = np.full((5, 9, 2), 77, dtype)
    made = resize(flat, (13, 4))
    assert made.dtype == dtype
    np.testing.assert_allclose(made, 77, rtol=1e-6)


def test_the_same_size_changes_nothing(photograph: NDArray[np.uint8]) -> None:
    assert np.array_equal(resize(photograph, photograph.shape[:2]), photograph)


def test_grey_without_a_channel_axis(photograph: NDArray[np.uint8]) -> None:
    assert np.array_equal(resize(photograph[..., 0], (50, 60)), resize(photograph, (50, 60))[..., 0])


@pytest.mark.parametrize("target", [(400, 500), (100, 60), (200, 100), (176, 300), (1, 1)])
@pytest.mark.parametrize("height", [1, 7, 64, 176])
def test_bands_give_what_the_whole_image_gives(
    photograph: NDArray[np.uint8], target: tuple[int, int], height: int
) -> None:
    bands = (photograph[top : top + height] for top in range(0, len(photograph), height))
    made = np.concatenate(list(resize_bands(bands, (176, 240), target)))
    assert np.array_equal(made, resize(photograph, target))


def test_sides_are_rounded_up_as_matlab_does() -> None:
    assert resize(np.zeros((5, 7), np.uint8), scale=0.5).shape == (3, 4)


def test_wrong_arguments_are_refused() -> None:
    image = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="either"):
        resize(image)
    with pytest.raises(ValueError, match="positive"):
        resize(image, scale=0)
    with pytest.raises(ValueError, match="not int8"):
        resize(np.zeros((4, 4), np.int8), scale=2)
    with pytest.raises(ValueError, match="no pixels"):
        resize(image, (0, 3))
