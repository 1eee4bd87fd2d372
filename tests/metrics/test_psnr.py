import json
from pathlib import Path

import numpy as np
import pytest

from upres.metrics import luma, psnr


def test_luma_is_matlabs() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    np.testing.assert_allclose(luma(colours), [[16, 235, 81.481]], atol=1e-9)
    np.testing.assert_allclose(luma(np.array([[255]], np.uint8)), [[235]])


def test_golden_values_of_one_pair(shared: Path) -> None:
    pair = np.load(shared / "reference/io/metrics.npz")
    golden = json.loads((shared / "reference/golden/metrics.json").read_text())["values"]
    a, b = pair["image_a"], pair["image_b"]
    np.testing.assert_allclose(luma(a), pair["luma_a_float"], atol=1e-4)
    for shave in range(5):
        values = golden[f"shave_{shave}"]
        assert psnr(a, b, shave=shave) == pytest.approx(values["psnr_y"], abs=5e-4)
        assert psnr(a, b, shave=shave, on="rgb") == pytest.approx(values["psnr_rgb"], abs=5e-4)
        if shave:
            assert psnr(a, b, shave=shave, round_luma=True) == pytest.approx(values["psnr_y_uint8"], abs=5e-4)


def test_equal_images_and_unequal_sizes() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    assert psnr(image, image, shave=2) == float("inf")
    with pytest.raises(ValueError, match="equal size"):
        psnr(image, image[:5], shave=0)
    with pytest.raises(ValueError, match="nothing is left"):
        psnr(image, image, shave=5)
    with pytest.raises(ValueError, match="'y' or 'rgb'"):
        psnr(image, image, shave=0, on="cb")
