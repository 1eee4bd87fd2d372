from pathlib import Path

import numpy as np
import pytest

from upres.errors import ImageError
from upres.evaluation.pairs import find_pairs
from upres.images import Picture, resize, write


def image(path: Path, height: int, width: int) -> np.ndarray:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Picture(pixels))
    return pixels


def test_hr_images_are_cropped_and_reduced(tmp_path: Path) -> None:
    hr = image(tmp_path / "a.png", 31, 23)
    (tmp_path / "list.csv").write_text("a,b")
    (pair,) = find_pairs(tmp_path, 4)
    assert pair.name == "a"
    lr, cropped = pair.load()
    assert np.array_equal(cropped, hr[:28, :20])
    assert np.array_equal(lr, resize(hr[:28, :20], (7, 5)))


def test_selfexsrs_folders_hold_both(tmp_path: Path) -> None:
    hr = image(tmp_path / "image_SRF_3/img_001_SRF_3_HR.png", 12, 15)
    lr = image(tmp_path / "image_SRF_3/img_001_SRF_3_LR.png", 4, 5)
    (pair,) = find_pairs(tmp_path, 3)
    assert pair.name == "img_001"
    found = pair.load()
    assert np.array_equal(found[0], lr)
    assert np.array_equal(found[1], hr)
    (tmp_path / "image_SRF_3/img_001_SRF_3_LR.png").unlink()
    with pytest.raises(ImageError, match="is missing beside img_001_SRF_3_HR"):
        find_pairs(tmp_path, 3)


def test_the_benchmark_archives_folders_hold_both(tmp_path: Path) -> None:
    image(tmp_path / "HR/baby.png", 14, 16)
    lr = image(tmp_path / "LR_bicubic/X2/babyx2.png", 7, 8)
    (pair,) = find_pairs(tmp_path, 2)
    assert pair.name == "baby"
    assert np.array_equal(pair.load()[0], lr)


def test_lr_in_a_folder_of_its_own(tmp_path: Path) -> None:
    hr = image(tmp_path / "hr/0801.png", 30, 22)
    image(tmp_path / "hr/0802.png", 30, 22)
    lr = image(tmp_path / "lr/0801x4.png", 7, 5)
    with pytest.raises(ImageError, match="has no LR image for 0802"):
        find_pairs(tmp_path / "hr", 4, tmp_path / "lr")
    image(tmp_path / "lr/0802x4.png", 9, 9)
    right, wrong = find_pairs(tmp_path / "hr", 4, tmp_path / "lr")
    found = right.load()
    assert np.array_equal(found[0], lr)
    assert np.array_equal(found[1], hr[:28, :20])
    with pytest.raises(ImageError, match=r"is 9x9, which is not .* \(22x30\) reduced by 4"):
        wrong.load()


def test_an_image_that_is_smaller_than_the_scale_is_named(tmp_path: Path) -> None:
    write(tmp_path / "dot.png", Picture(np.zeros((1, 3, 3), np.uint8)))
    (pair,) = find_pairs(tmp_path, 2)
    with pytest.raises(ImageError, match=r"dot\.png: is 3x1, too small to be reduced by 2"):
        pair.load()


def test_what_is_missing_or_double_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        find_pairs(tmp_path / "none", 2)
    with pytest.raises(ImageError, match="no images for scale 2"):
        find_pairs(tmp_path, 2)
    image(tmp_path / "a.png", 8, 8)
    image(tmp_path / "a_x2.png", 8, 8)
    with pytest.raises(ImageError, match=r"both a.png and a_x2.png are called a"):
        find_pairs(tmp_path, 2)
