import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.images import read, resize
from upres.metrics import luma, psnr, rmse, ssim


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


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_has_the_psnr_and_ssim_that_selfexsr_publishes(shared: Path, scale: int) -> None:
    published = json.loads((shared / "reference/golden/selfexsr_published_set5.json").read_text())
    table = published[f"Set5_x{scale}"]
    column = table["methods"].index("Bicubic")
    folder = shared / f"data/Set5/image_SRF_{scale}"
    for name, values in table["per_image"].items():
        stem = f"{name}_SRF_{scale}"
        hr, lr = (read(folder / f"{stem}_{kind}.png").rgb8() for kind in ("HR", "LR"))
        sr = resize(lr, hr.shape[:2])
        assert psnr(sr, hr, shave=scale, round_luma=True) == pytest.approx(values["psnr_y"][column], abs=1e-4)
        assert ssim(sr, hr, shave=scale, round_luma=True) == pytest.approx(values["ssim_y"][column], abs=1e-5)


def test_rmse_is_in_levels() -> None:
    hr = np.full((20, 20), 100, np.uint8)
    assert rmse(hr + 3, hr, shave=0, on="rgb") == 3
    assert rmse(hr + 3, hr, shave=4) == pytest.approx(3 * 219 / 255)
    assert psnr(hr + 3, hr, shave=0, on="rgb") == pytest.approx(20 * np.log10(255 / 3))


def test_floating_point_is_rounded_to_8_bits_unless_asked_not_to() -> None:
    hr = np.full((20, 20, 3), 255, np.uint8)
    sr = np.full((20, 20, 3), 263.4)
    assert psnr(sr, hr, shave=2) == float("inf")
    assert rmse(sr, hr, shave=2, on="rgb", round_images=False) == pytest.approx(8.4)


def test_grey_counts_as_rgb_of_equal_parts() -> None:
    rng = np.random.default_rng(0)
    sr, hr = rng.integers(0, 256, (2, 24, 30), np.uint8)
    for measure in (psnr, rmse, ssim):
        grey = measure(sr, hr, shave=1)
        assert measure(sr[..., None], hr, shave=1) == grey
        rgb = measure(*(np.repeat(image[..., None], 3, axis=2) for image in (sr, hr)), shave=1)
        assert rgb == pytest.approx(grey, rel=1e-12)


def test_equal_images_and_what_cannot_be_compared() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    assert psnr(image, image, shave=2) == float("inf")
    assert rmse(image, image, shave=2) == 0
    with pytest.raises(ValueError, match="one size, not 9x9 and 9x5"):
        psnr(image, image[:5], shave=0)
    with pytest.raises(ValueError, match="nothing is left of 9x9"):
        psnr(image, image, shave=5)
    with pytest.raises(ValueError, match="'y' or 'rgb'"):
        psnr(image, image, shave=0, on="cb")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same channels"):
        psnr(image, image[..., :1], shave=0, on="rgb")


@pytest.mark.parametrize("measure", [psnr, rmse, ssim])
@pytest.mark.parametrize("on", ["y", "rgb"])
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((20, 20, 4), np.uint8), r"without alpha, not \(20, 20, 4\)"),
        (np.zeros(400, np.uint8), r"not \(400,\)"),
        (np.full((20, 20, 3), 65535, np.uint16), "from 0 to 255, not 65535 to 65535: convert it to 8 bits"),
        (np.full((20, 20, 3), -1, np.int16), "from 0 to 255, not -1 to -1"),
        (np.full((20, 20, 3), np.nan), "not finite"),
        (np.ones((20, 20, 3), bool), "not bool"),
    ],
)
def test_what_is_no_image_of_8_bits_has_no_number(measure: Any, on: Any, image: NDArray[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        measure(image, image, shave=2, on=on)


def test_any_integers_and_views_count_by_their_values() -> None:
    rng = np.random.default_rng(0)
    sr, hr = rng.integers(0, 256, (2, 24, 30, 3), np.uint8)
    for measure in (psnr, rmse, ssim):
        expected = measure(sr, hr, shave=1)
        assert measure(sr.astype(np.uint16), hr.astype(np.int64), shave=1) == expected
        assert measure(np.asfortranarray(sr), hr[::-1][::-1], shave=1) == pytest.approx(expected, rel=1e-12)


def test_pixels_to_shave_are_not_negative() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(ValueError, match="0 or more, not -1"):
        psnr(image, image, shave=-1)


def test_values_up_to_1_are_not_measured_as_if_up_to_255() -> None:
    image = np.linspace(0, 1, 48).reshape(4, 4, 3)
    with pytest.raises(ValueError, match="multiply them by 255"):
        psnr(image, image, shave=0)
    assert psnr(np.zeros((4, 4, 3)), np.ones((4, 4, 3), np.uint8), shave=0) < 60
