import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from upres.images import read, resize
from upres.metrics import MaFeatures, ma_features, pirm_luma
from upres.metrics.ma_features import MIN_SIDE, ggd_shape
from upres.metrics.steerable import steerable_pyramid

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session", params=["cat", "colosseum", "sign"])
def natural(request: pytest.FixtureRequest, examples: Path) -> Picture:
    """(160, 160, 3) uint8."""
    image = read(examples / f"{request.param}.webp").rgb8()
    top, left = ((side - 160) // 2 for side in image.shape[:2])
    return image[top : top + 160, left : left + 160]


def clipped(pixels: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(np.round(pixels), 0, 255), np.uint8)


def low_pass(image: Picture, gain: NDArray[np.float64]) -> Picture:
    """Filter with a gain for the frequencies of `np.fft.fftfreq` on both axes."""
    spectrum = np.fft.fft2(image, axes=(0, 1)) * np.outer(gain, gain)[..., None]
    return clipped(np.fft.ifft2(spectrum, axes=(0, 1)).real)


def blurred(image: Picture, sigma: float) -> Picture:
    return low_pass(image, np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(len(image))) ** 2))


def noisy(image: Picture, sigma: float) -> Picture:
    return clipped(image + np.random.default_rng(0).normal(0, sigma, image.shape))


def bicubic_x4(image: Picture) -> Picture:
    return resize(resize(image, (40, 40)), (160, 160))


def softness(features: MaFeatures) -> dict[str, float]:
    local, overall, spatial = features
    return {
        "variation of the DCT": local[3],
        "variation over orientations": local[5],
        "fine bands like the residual": overall[18:24].mean(),
        "small singular values": -spatial[5:25].sum(),
    }


def test_there_are_138_features(natural: Picture) -> None:
    assert [len(group) for group in ma_features(natural)] == [18, 45, 75]


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
def test_the_shape_of_a_generalised_gaussian_is_found(shape: float) -> None:
    random = np.random.default_rng(0)
    magnitudes = random.gamma(1 / shape, size=(2, 100_000)) ** (1 / shape)
    samples = 3 * magnitudes * random.choice([-1, 1], magnitudes.shape) + 5
    np.testing.assert_allclose(ggd_shape(samples), shape, rtol=0.04)


def test_the_flattest_shape_is_10() -> None:
    assert ggd_shape(np.linspace(-1, 1, 1000)) == 10
    assert ggd_shape(np.zeros(48)) == 10


def test_blur_raises_and_noise_lowers_what_tells_softness(natural: Picture) -> None:
    from_noisy_to_soft = [
        *(noisy(natural, sigma) for sigma in (40, 20, 10, 5)),
        natural,
        *(blurred(natural, sigma) for sigma in (0.7, 1.2, 2, 3)),
    ]
    series = [softness(ma_features(image)) for image in from_noisy_to_soft]
    for name in series[0]:
        values = [step[name] for step in series]
        assert values == sorted(values), name


def test_bicubic_pictures_are_told_from_photographs(natural: Picture) -> None:
    photograph, enlarged = ma_features(natural), ma_features(bicubic_x4(natural))
    sharp, soft = softness(photograph), softness(enlarged)
    assert soft["variation of the DCT"] > 1.5 * sharp["variation of the DCT"]
    assert soft["variation over orientations"] > 1.7 * sharp["variation over orientations"]
    assert soft["fine bands like the residual"] > 0.98 > sharp["fine bands like the residual"]
    assert soft["small singular values"] > 0.3 * sharp["small singular values"]
    # bands of a sharp edge are alike over scales, those of a soft one are not
    assert np.all(enlarged.global_frequency[12:18] < 0.8 * photograph.global_frequency[12:18])


def test_blocking_has_blocks_of_one_orientation(natural: Picture) -> None:
    file = io.BytesIO()
    Image.fromarray(natural).save(file, "jpeg", quality=10)
    blocked = np.asarray(Image.open(file))
    assert ma_features(blocked).local_frequency[4] > 2 * ma_features(natural).local_frequency[4]
    nearest = resize(natural, (40, 40)).repeat(4, axis=0).repeat(4, axis=1)
    smooth = ma_features(bicubic_x4(natural))
    assert softness(ma_features(nearest))["fine bands like the residual"] < 0.9
    assert ma_features(nearest).spatial[5:25].sum() > 2 * smooth.spatial[5:25].sum()


def test_ringing_parts_the_scales_that_bicubic_keeps_alike(natural: Picture) -> None:
    ringing = ma_features(low_pass(natural, (np.abs(np.fft.fftfreq(160)) < 1 / 8).astype(float))).global_frequency
    smooth = ma_features(bicubic_x4(natural)).global_frequency
    assert ringing[:6].mean() > smooth[:6].mean()
    assert ringing[24:30].mean() < 0.85 * smooth[24:30].mean()


def test_normalised_bands_are_nearly_gaussian(natural: Picture) -> None:
    grey = natural[..., 1].astype(np.float64)
    bands = steerable_pyramid(grey, levels=2, orientations=6).bands[0].reshape(6, -1)
    normalised = ma_features(natural[..., 1]).global_frequency[:6]
    assert np.all(ggd_shape(bands) < 1.1)
    assert np.all(np.abs(normalised - 2) < np.abs(ggd_shape(bands) - 2))


def test_local_features_are_those_of_scipys_dct(natural: Picture) -> None:
    fft = pytest.importorskip("scipy.fft")
    grey = natural[:100, :101, 1]
    padded = np.pad(grey / 255, ((2, 4), (2, 3)))
    shapes, variations = [], []
    for top in range(0, 100, 3):
        for left in range(0, 101, 3):
            coefficients = fft.dctn(padded[top : top + 7, left : left + 7], norm="ortho").ravel()[1:]
            shapes.append(ggd_shape(coefficients))
            variations.append(np.abs(coefficients).std(ddof=1) / (np.abs(coefficients).mean() + 1e-7))
    features = ma_features(grey).local_frequency
    lowest, highest = sorted(shapes)[: -(-len(shapes) // 10)], sorted(variations)[len(variations) * 9 // 10 - 1 :]
    expected = [np.mean(part) for part in (lowest, shapes, highest, variations)]
    np.testing.assert_allclose(features[:4], expected)


def test_features_are_those_of_the_release_computed_step_by_step() -> None:
    """By loops over pixels and the release's look-up tables, which differ from exact filters by 4e-6."""
    random = np.random.default_rng(0)
    coarse = resize(random.integers(0, 200, (25, 30), np.uint8), (97, 119))
    local, overall, _ = ma_features(coarse + random.integers(0, 56, (97, 119), np.uint8))
    # fmt: off
    np.testing.assert_allclose(local, [
        0.36602, 0.60683, 2.06688, 1.46567, 0.52836, 0.17042, 0.42181, 0.67602, 1.8444, 1.3302, 0.26774, 0.0771,
        0.41963, 1.24913, 1.76052, 1.0804, 0.28261, 0.06622,
    ], atol=1e-5)
    np.testing.assert_allclose(overall, [
        2.497, 2.305, 2.303, 2.411, 2.233, 2.403, 2.089, 2.086, 2.586, 2.072, 2.761, 2.482,
        0.412, 0.419, 0.432, 0.425, 0.435, 0.43,
        0.24969, 0.24339, 0.24198, 0.24777, 0.24291, 0.24488, 0.06474, 0.04865, 0.04458, 0.05603, 0.04364, 0.04791,
        0.86747, 0.70015, 0.64634, 0.54585, 0.40909, 0.88499, 0.70792, 0.60337, 0.55111, 0.85886, 0.6542, 0.59994,
        0.86076, 0.70426, 0.88461,
    ], atol=1e-5)
    # fmt: on


def test_a_photograph_has_the_features_that_the_authors_code_prints() -> None:
    """The release (github.com/chaoma99/sr-metric) on the luma, 4 pixels shaved, as PIRM 2018 calls it.

    Run in GNU Octave, printed in github.com/mxzhuang/parallel-perceptual-index, reference/octave_reference.txt.
    The photograph is Chelsea, by Stefan van der Walt, in the public domain (CC0).
    """
    chelsea = read(Path(__file__).parent / "chelsea.webp").rgb8()
    local, overall, spatial = ma_features(pirm_luma(chelsea))
    printed = [0.25575189524465736, 0.54301992553778133, 3.5401949046394225, 1.9206646788831754, 1.057154660299721]
    np.testing.assert_allclose(local[:5], printed, rtol=1e-9)
    np.testing.assert_allclose(overall[[0, 12, 17]], [1.503, 0.546, 0.572], rtol=1e-9)
    printed = [0.86943477604667108, 0.98136624978508336, 0.97862917059349164]  # by filters from tables
    np.testing.assert_allclose(overall[[18, 30, 44]], printed, rtol=1e-6)
    printed = [170.17727773625978, 13.816837317706906, 84.657464097115607, 41.810736951210892, 0.24755901701528035]
    np.testing.assert_allclose(spatial[[0, 1, 25, 50, 74]], printed, rtol=1e-9)


def test_singular_values_hold_the_energy_of_the_image(natural: Picture) -> None:
    grey = natural[:93, :101, 1]
    values = ma_features(grey).spatial
    assert np.sum(values[:25] ** 2) == pytest.approx(np.sum((grey / 255) ** 2))
    assert np.all(np.diff(values.reshape(3, 25)) <= 0)


def test_transposing_swaps_orientations_and_leaves_the_rest(natural: Picture) -> None:
    upright = ma_features(natural)
    turned = ma_features(natural.swapaxes(0, 1))
    np.testing.assert_allclose(turned.local_frequency, upright.local_frequency)
    np.testing.assert_allclose(turned.spatial, upright.spatial, rtol=1e-9)
    swapped = [3, 2, 1, 0, 5, 4]  # an edge at k·30° lies at 90° - k·30°
    np.testing.assert_allclose(turned.global_frequency[6:12], upright.global_frequency[6:12][swapped])
    for level in (18, 24):  # the last two bands change their sign, too
        correlation = slice(level, level + 4)
        expected = upright.global_frequency[correlation][::-1]
        np.testing.assert_allclose(turned.global_frequency[correlation], expected, rtol=1e-9)


def test_grey_is_matlabs(natural: Picture) -> None:
    grey = np.round(natural @ [0.298936021293775, 0.587043074451121, 0.114020904255103]).astype(np.uint8)
    for other in (grey, grey[..., None], grey[..., None].repeat(3, axis=2)):
        for one, two in zip(ma_features(natural), ma_features(other), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "image",
    [
        np.indices((MIN_SIDE, 90)).sum(axis=0) % 2 * 255,
        np.indices((90, MIN_SIDE))[1] % 2 * 255,
        np.indices((MIN_SIDE, MIN_SIDE))[0],
        np.eye(1, MIN_SIDE**2).reshape(MIN_SIDE, MIN_SIDE),
        (np.indices((91, 90))[0] > 45) * 255,
    ],
    ids=["checkerboard", "stripes", "gradient", "one pixel", "one edge"],
)
def test_strange_images_have_finite_features(image: NDArray[Any]) -> None:
    assert all(np.isfinite(group).all() for group in ma_features(image.astype(np.uint8)))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((200, 83), np.uint8), "83x200 is too small: .* needs 84x84"),
        (np.full((90, 90, 3), 7, np.uint8), "single grey level"),
        (np.zeros((90, 90)), r"8 bits \(uint8\), not float64"),
        (np.zeros((90, 90, 4), np.uint8), r"without alpha, not \(90, 90, 4\)"),
    ],
)
def test_what_has_no_features_is_said(image: NDArray[Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ma_features(image)
