import json
from pathlib import Path

import numpy as np
import pytest

from upres.metrics import ssim


def test_golden_values_of_one_pair(shared: Path) -> None:
    pair = np.load(shared / "reference/io/metrics.npz")
    golden = json.loads((shared / "reference/golden/metrics.json").read_text())["values"]
    a, b = pair["image_a"], pair["image_b"]
    for shave in range(5):
        values = golden[f"shave_{shave}"]
        assert ssim(a, b, shave=shave) == pytest.approx(values["ssim_y"], abs=1e-6)
        assert ssim(a, b, shave=shave, on="rgb") == pytest.approx(values["ssim_rgb"], abs=1e-6)
        if shave:
            assert ssim(a, b, shave=shave, round_luma=True) == pytest.approx(values["ssim_y_uint8"], abs=1e-6)


def test_every_window_counts_once_also_across_bands() -> None:
    """Against the definition, window by window, on an image of more rows than are worked on at once."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (2, 150, 14)).astype(np.uint8)
    distance = np.arange(11) - 5
    window = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * 1.5**2))
    window /= window.sum()

    def similarity(top: int, left: int) -> float:
        a, b = (image[top : top + 11, left : left + 11].astype(float) for image in (x, y))
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
        covariance = (window * (a - mean_a) * (b - mean_b)).sum()
        first = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
        return float(first * (2 * covariance + 58.5225) / (variance_a + variance_b + 58.5225))

    expected = np.mean([similarity(top, left) for top in range(140) for left in range(4)])
    grey = [np.repeat(image[..., None], 3, axis=2) for image in (x, y)]
    assert ssim(*grey, shave=0, on="rgb") == pytest.approx(expected, abs=1e-12)


def test_equal_constant_and_small_images() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    assert ssim(image, image, shave=0) == pytest.approx(1)
    assert ssim(np.zeros_like(image), np.zeros_like(image), shave=4) == 1
    with pytest.raises(ValueError, match="11x11 pixels after shaving, not 10x40"):
        ssim(image[:, :10], image[:, :10], shave=0)
