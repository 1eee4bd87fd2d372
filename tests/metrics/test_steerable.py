import numpy as np
import pytest

from upres.metrics.steerable import steerable_pyramid


@pytest.mark.parametrize(("shape", "orientations"), [((45, 63), 6), ((63, 45), 4), ((81, 81), 1)])
def test_the_bands_are_a_tight_frame(shape: tuple[int, int], orientations: int) -> None:
    image = np.random.default_rng(0).normal(size=shape)
    high, bands, low = steerable_pyramid(image, levels=3, orientations=orientations)
    energy = sum(np.sum(part**2) * part.shape[-2] * part.shape[-1] for part in (high, *bands, low))
    assert energy == pytest.approx(np.sum(image**2) * image.size)


def test_levels_are_halved_and_rounded_up() -> None:
    high, bands, low = steerable_pyramid(np.zeros((51, 38)), levels=2, orientations=6)
    assert high.shape == (51, 38)
    assert [level.shape for level in bands] == [(6, 51, 38), (6, 26, 19)]
    assert low.shape == (13, 10)


@pytest.mark.parametrize(("level", "period"), [(0, 4), (1, 8)])
@pytest.mark.parametrize(("orientation", "axis"), [(0, 1), (3, 0)])
def test_a_grating_is_in_the_band_of_its_octave_and_orientation(
    level: int, period: int, orientation: int, axis: int
) -> None:
    grating = np.cos(2 * np.pi * np.indices((64, 64))[axis] / period)
    high, bands, low = steerable_pyramid(grating, levels=2, orientations=6)
    assert np.abs(high).max() < 1e-9
    assert np.abs(low).max() < 1e-9
    assert np.abs(bands[1 - level]).max() < 1e-9
    strength = np.square(bands[level]).sum(axis=(1, 2))
    assert np.argmax(strength) == orientation
    assert strength[(orientation + 3) % 6] < 1e-9


def test_a_constant_is_low() -> None:
    high, bands, low = steerable_pyramid(np.full((32, 48), 7.0), levels=2, orientations=6)
    assert max(np.abs(part).max() for part in (high, *bands)) < 1e-9
    np.testing.assert_allclose(low, 7 * 16)
