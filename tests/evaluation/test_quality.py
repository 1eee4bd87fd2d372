from pathlib import Path

import numpy as np
import pytest

from upres.errors import ImageError
from upres.evaluation.quality import evaluate, pairs
from upres.images import Picture, resize, write


def test_bicubic_reaches_the_published_values(shared: Path) -> None:
    quality = evaluate(lambda lr: resize(lr, (lr.shape[0] * 3, lr.shape[1] * 3)), shared / "data/Set5", 3)
    assert quality.mean == quality.mean_bicubic == pytest.approx(30.40, abs=0.02)
    assert len(quality.psnr) == 5
    assert "3 pixels shaved" in quality.convention


def test_a_folder_of_hr_images_is_cropped_and_reduced(tmp_path: Path) -> None:
    hr = np.random.default_rng(0).integers(0, 256, (31, 23, 3), np.uint8)
    write(tmp_path / "a.png", Picture(hr))
    ((name, lr, cropped),) = pairs(tmp_path, 4)
    assert name == "a"
    assert np.array_equal(cropped, hr[:28, :20])
    assert np.array_equal(lr, resize(hr[:28, :20], (7, 5)))


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no images for scale 2"):
        evaluate(lambda lr: lr, tmp_path, 2)
