from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.images import match_histograms


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_picture_with_other_contrast_and_brightness_gets_its_own_back(of_kind: Any, dtype: Any) -> None:
    picture = of_kind(3, dtype)
    peak = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    changed = (picture / 2 + peak / 4).astype(dtype)
    again = match_histograms(changed, picture)
    assert again.dtype == dtype
    assert np.abs(again.astype(float) - picture).max() <= (1e-6 if dtype is np.float32 else 2)


def test_the_histograms_are_those_of_a_smaller_reference(photograph: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((120, 160, 3))
    small = photograph[::4, ::4]
    matched = match_histograms(picture, small / 255)
    for share in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(
            np.quantile(matched, share, axis=(0, 1)), np.quantile(small / 255, share, axis=(0, 1)), atol=0.01
        )
    for channel in range(3):  # the order of values is kept
        order = np.argsort(picture[..., channel], axis=None)
        assert (np.diff(matched[..., channel].ravel()[order]) >= 0).all()


def test_a_picture_is_its_own_match(photograph: NDArray[np.uint8]) -> None:
    assert np.array_equal(match_histograms(photograph, photograph), photograph)


def test_other_channels_are_refused(photograph: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="channels"):
        match_histograms(photograph, photograph[..., :1])
