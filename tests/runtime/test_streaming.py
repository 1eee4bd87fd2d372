"""Rows that come one after the other give what the whole picture gives, however it is cut."""

from typing import Any

import numpy as np
import pytest

from upres import Upscaler
from upres.images import Rows


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("scale", [2, 2.5, 8, 0.5])
def test_rows_give_the_bytes_of_the_whole(of_kind: Any, channels: int, dtype: Any, scale: float) -> None:
    lr = of_kind(channels, dtype, height=110, width=87)
    if channels in (2, 4):
        lr[:, :60, -1] = np.iinfo(dtype).max  # some tiles have transparency, some have none
    whole = Upscaler(scale=scale, tile=1000)(lr)
    rows = Rows(lr.shape, lr.dtype, np.split(lr, [1, 40, 41, 90]))
    tiled = np.concatenate(list(Upscaler(scale=scale, tile=48).bands(rows)))
    assert np.array_equal(tiled, whole)


def test_alpha_stays_opaque_where_transparency_is_far(of_kind: Any) -> None:
    lr = of_kind(4, np.uint8, height=60, width=60)
    lr[..., 3] = 255
    lr[20:30, 20:30, 3] = 0
    alpha = Upscaler(scale=2)(lr)[..., 3]
    assert (alpha[:26] == 255).all()
    assert (alpha[44:56, 44:56] < 255).any()


@pytest.mark.parametrize("tile", [None, 48])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_alpha_stays_clear_where_nothing_seen_is_near(of_kind: Any, scale: int, tile: int | None) -> None:
    lr = of_kind(4, np.uint8, height=90, width=90)
    lr[..., 3] = 0
    lr[30:50, 30:50, 3] = 255
    alpha = Upscaler(scale=scale, tile=tile)(lr)[..., 3]
    seen = alpha[24 * scale : 56 * scale, 24 * scale : 56 * scale]
    assert alpha.sum(dtype=int) == seen.sum(dtype=int) > 300 * 255 * scale**2
