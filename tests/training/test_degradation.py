import io
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from upres.errors import RecipeError
from upres.images import Picture, resize, write
from upres.training.checked import Source
from upres.training.data import load_photographs
from upres.training.degradation import Draw, Pipeline, checked_steps, gaussian_blur, sinc

SECOND_ORDER = """
# Blur, resize, noise, JPEG, twice (Real-ESRGAN, figure 2); the last JPEG before or after the last resize.
[[steps]]
name = "gaussian_blur"
sigma = [0.2, 3.0]
anisotropic = true
[[steps]]
name = "resize"
kernel = ["area", "bilinear", "bicubic"]
scale = [0.3, 1.5]
[[steps]]
name = "one_of"
pipelines = [
    [{ name = "gaussian_noise", sigma = [1, 30], grey = 0.4 }],
    [{ name = "poisson_noise", scale = [0.05, 3], grey = 0.4 }],
]
[[steps]]
name = "jpeg"
quality = [30, 95]
[[steps]]
name = "gaussian_blur"
chance = 0.8
sigma = [0.2, 1.5]
[[steps]]
name = "resize"
kernel = ["area", "bilinear", "bicubic"]
scale = [0.3, 1.2]
[[steps]]
name = "gaussian_noise"
sigma = [1, 25]
grey = 0.4
[[steps]]
name = "one_of"
chances = [1, 1]
pipelines = [
    [{ name = "resize", kernel = "area" }, { name = "sinc", chance = 0.8 }, { name = "jpeg", quality = [30, 95] }],
    [{ name = "jpeg", quality = [30, 95] }, { name = "resize", kernel = "lanczos" }, { name = "sinc" }],
]
"""


def pipeline(text: str) -> Pipeline:
    return Pipeline(checked_steps(tomllib.loads(text)["steps"], "steps", Source("recipe.toml", text)))


def steps(*tables: str) -> Pipeline:
    return pipeline(f"steps = [{', '.join(tables)}]")


TO_LR = '{ name = "resize" }'


@pytest.fixture(scope="module")
def hr(photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return photograph[:96, :120]


def small(made: Pipeline, hr: NDArray[np.uint8], seed: int = 0, scale: int = 2) -> NDArray[np.uint8]:
    return made(hr, (hr.shape[0] // scale, hr.shape[1] // scale), (seed,))


def test_bicubic_alone_is_matlabs(hr: NDArray[np.uint8]) -> None:
    assert np.array_equal(small(steps(TO_LR), hr), resize(hr, (48, 60)))


def test_johnsons_is_a_blur_of_deviation_1_before_bicubic(hr: NDArray[np.uint8]) -> None:
    made = small(steps('{ name = "gaussian_blur", sigma = 1.0 }', TO_LR), hr, scale=4)
    blurred = gaussian_filter(hr.astype(np.float64), (1, 1, 0), mode="nearest")
    assert np.abs(made - resize(blurred, (24, 30))).max() <= 0.51


def test_bicubicpps_is_bicubic_and_jpeg_of_quality_90(hr: NDArray[np.uint8]) -> None:
    made = small(steps(TO_LR, '{ name = "jpeg", quality = 90 }'), hr, scale=3)
    file = io.BytesIO()
    Image.fromarray(resize(hr, (32, 40))).save(file, "JPEG", quality=90)
    assert np.array_equal(made, np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", ["bilinear", "area", "lanczos"])
def test_other_kernels_keep_the_mean_and_are_not_bicubic(hr: NDArray[np.uint8], name: str) -> None:
    made = small(steps(f'{{ name = "resize", kernel = "{name}" }}'), hr)
    assert made.mean() == pytest.approx(hr.mean(), abs=0.3)
    assert not np.array_equal(made, small(steps(TO_LR), hr))
    if name == "area":
        blocks = hr.reshape(48, 2, 60, 2, 3).mean((1, 3))
        assert np.abs(made - blocks).max() <= 0.5


def impulse() -> NDArray[np.uint8]:
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 32] = 255
    return image


def covariance(response: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.argwhere(np.ones((65, 65))) - 32.0
    weights = response.reshape(-1) / response.sum()
    return np.asarray((places * weights[:, None]).T @ places)


def test_anisotropic_blur_has_two_deviations_and_any_angle() -> None:
    angles = []
    for seed in range(12):
        draw = Draw((65, 65), np.random.default_rng(seed))
        response = gaussian_blur(impulse(), draw, sigma=(1.0, 4.0), anisotropic=True)[..., 0]
        assert response.sum() == pytest.approx(255, rel=1e-3)
        values, axes = np.linalg.eigh(covariance(response.astype(np.float64)))
        assert 0.9 < np.sqrt(values[0]) < np.sqrt(values[1]) < 4.1
        angles.append(np.arctan2(axes[0, 1], axes[1, 1]) % np.pi)
    assert np.std(angles) > 0.3


def test_the_sinc_filter_keeps_low_frequencies_and_stops_high_ones() -> None:
    draw = Draw((65, 65), np.random.default_rng(0))
    along = np.arange(65)
    for frequency, gain in ((0.5, 1.0), (2.5, 0.0)):
        wave = 128 + 100 * np.cos(frequency * along)
        image = np.broadcast_to(wave[None, :, None], (65, 65, 3)).astype(np.float32)
        filtered = sinc(image, draw, cutoff=(1.5, 1.5))[32, 16:48, 0]
        assert np.std(filtered) == pytest.approx(gain * np.std(wave[16:48]), abs=8)


@pytest.mark.parametrize(
    ("noise", "deviation"),
    [
        ('{ name = "gaussian_noise", sigma = 10 }', 10.0),
        ('{ name = "poisson_noise", scale = 1 }', 100**0.5),
        ('{ name = "poisson_noise", scale = 0.5 }', 0.5 * 100**0.5),
    ],
)
@pytest.mark.parametrize("grey", [0, 1])
def test_noise_has_its_deviation_in_every_channel_or_in_all(noise: str, deviation: float, grey: int) -> None:
    flat = np.full((128, 128, 3), 100, np.uint8)
    made = small(steps(TO_LR, noise.replace(" }", f", grey = {grey} }}")), flat).astype(float) - 100
    assert made.mean() == pytest.approx(0, abs=0.5)
    assert made.std() == pytest.approx(deviation, rel=0.05)
    correlation = np.corrcoef(made[..., 0].ravel(), made[..., 1].ravel())[0, 1]
    assert correlation == pytest.approx(grey, abs=0.1)


def test_a_range_is_drawn_from_and_a_chance_is_kept() -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    noisy = steps(TO_LR, '{ name = "gaussian_noise", sigma = [5, 20], chance = 0.5 }')
    deviations = np.array([small(noisy, flat, seed).std() for seed in range(200)])
    assert 60 < (deviations == 0).sum() < 140
    drawn = deviations[deviations > 0]
    assert 4.5 < drawn.min() < 7 < 18 < drawn.max() < 21


def test_second_order_depends_on_the_seed_alone(hr: NDArray[np.uint8]) -> None:
    practical = pipeline(SECOND_ORDER)
    made = [small(practical, hr, seed, scale=4) for seed in range(6)]
    assert all(lr.shape == (24, 30, 3) and lr.dtype == np.uint8 for lr in made)
    again = [small(pipeline(SECOND_ORDER), hr, seed, scale=4) for seed in reversed(range(6))]
    assert all(np.array_equal(a, b) for a, b in zip(made, reversed(again), strict=True))
    assert len({lr.tobytes() for lr in made}) == 6
    bicubic = resize(hr, (24, 30)).astype(float)
    for lr in made:
        assert 2 < np.abs(lr - bicubic).mean() < 60  # degraded, and in the same place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{ name = "blur" }', "steps.0.name = 'blur': must be one of gaussian_blur, sinc, resize"),
        ("{ sigma = 1 }", "steps.0.name is missing; known: gaussian_blur"),
        ('{ name = "gaussian_blur" }', "steps.0.sigma is missing"),
        ('{ name = "gaussian_blur", sigma = [2, 1] }', "sigma = [2, 1]: must be a number or [lowest, highest]"),
        ('{ name = "gaussian_blur", sigma = -1 }', "steps.0.sigma = -1: must not be negative"),
        ('{ name = "jpeg", quality = 0 }', "steps.0.quality = 0: must lie between 1 and 100"),
        (
            '{ name = "resize", kernel = "cubic" }',
            "kernel.0 = 'cubic': must be one of bicubic, bilinear, area, lanczos",
        ),
        ('{ name = "resize", chance = 2 }', "steps.0.chance = 2: must lie between 0 and 1"),
        ('{ name = "resize", size = 2 }', "steps.0.size: unknown key; known: kernel, scale"),
        ('{ name = "resize", scale = 0.5 }', "the last resize must be without scale"),
        ('{ name = "resize", chance = 0.5 }', "the last resize must be without scale"),
        ('{ name = "jpeg", quality = 50 }', "the last resize must be without scale"),
        (
            '{ name = "one_of", pipelines = [[{ name = "resize" }], [{ name = "sinc" }]] }',
            "the last resize must be without scale",
        ),
        (
            '{ name = "resize" }, { name = "one_of", pipelines = [[{ name = "sinc" }]], chances = [1, 2] }',
            "steps.1.chances: must be one number for each pipeline",
        ),
        (
            '{ name = "one_of", pipelines = [[{ name = "resize", size = 1 }]] }',
            "recipe.toml, line 1: steps.0.pipelines.0.0.size: unknown key",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        steps(text)
    assert says in str(error.value)


def test_jpegs_grid_of_blocks_lies_anywhere_on_a_patch(tmp_path: Path, photograph: NDArray[np.uint8]) -> None:
    """Where files were compressed whole, patches begin anywhere in a block."""
    write(tmp_path / "cat.png", Picture(photograph))
    made = load_photographs(str(tmp_path), 2, degradation=steps(TO_LR, '{ name = "jpeg", quality = 20 }'))
    phases: set[int] = set()
    for seed in range(40):
        patch: Any = made.batch((0,), seed, 1, 32)[0][0, 1].numpy() * 255
        jumps = np.abs(np.diff(patch, axis=1)).mean(0)
        by_phase = [jumps[phase::8].mean() for phase in range(8)]
        phases.add(int(np.argmax(by_phase)))
    assert len(phases) >= 5
