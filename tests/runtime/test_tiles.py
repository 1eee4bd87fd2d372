from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upres.runtime.tiles import plan, shares


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    tile=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    halo=st.integers(0, 16),
    alignment=st.sampled_from([1, 2, 4]),
)
def test_the_kept_parts_cover_every_pixel_once_and_have_their_halo(
    height: int, width: int, tile: tuple[int, int], halo: int, alignment: int
) -> None:
    rows = list(plan(height, width, tile=tile, halo=halo, alignment=alignment))
    for side, spans in ((height, [row[0].rows for row in rows]), (width, [tile.columns for tile in rows[0]])):
        position = 0
        for span in spans:
            assert span.keep_start == position
            position = span.keep_stop
            assert span.keep_start < span.keep_stop
            assert span.start == 0 or span.keep_start - span.start >= halo
            assert span.stop >= side or span.stop - span.keep_stop >= halo
            assert span.start % alignment == 0
            assert span.length % alignment == 0
            assert span.stop < side + alignment
        assert position == side
        assert len({span.length for span in spans}) == 1


def test_a_tile_within_its_halo_is_refused() -> None:
    with pytest.raises(ValueError, match="keeps nothing"):
        list(plan(100, 100, tile=(16, 16), halo=8))


def test_a_picture_below_the_minimum_gets_one_tile_of_it() -> None:
    ((tile,),) = plan(5, 40, tile=(6, 41), halo=0, minimum=15)
    assert (tile.rows.length, tile.columns.length) == (15, 40)
    assert (tile.rows.keep_stop, tile.columns.keep_stop) == (5, 40)


@given(
    side=st.integers(1, 600),
    tile=st.integers(20, 200),
    halo=st.integers(1, 8),
    alignment=st.sampled_from([1, 2, 4]),
    scale=st.integers(1, 4),
)
def test_overlapping_tiles_share_every_pixel(side: int, tile: int, halo: int, alignment: int, scale: int) -> None:
    row = next(plan(1, side, tile=(tile, tile), halo=halo, alignment=alignment, overlapping=True))
    spans = [tile.columns for tile in row]
    assert (spans[0].keep_start, spans[-1].keep_stop) == (0, side)
    for before, after in pairwise(spans):
        assert before.start < after.start
        assert before.stop - after.start >= 2 * halo
    assert {(span.start % alignment, span.length % alignment) for span in spans} == {(0, 0)}
    assert len({span.length for span in spans}) == 1
    total = np.zeros(side * scale)
    for span, share in zip(spans, shares(spans, scale), strict=True):
        assert share.min() > 0
        total[span.keep_start * scale : span.keep_stop * scale] += share
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_shares_cross_linearly() -> None:
    row = next(plan(1, 96, tile=(64, 64), halo=16, overlapping=True))
    left, right = shares([tile.columns for tile in row], 2)
    expected = (np.arange(64) + 0.5) / 64
    np.testing.assert_allclose(left, [*np.ones(64), *expected[::-1]], rtol=1e-6)
    np.testing.assert_allclose(right, [*expected, *np.ones(64)], rtol=1e-6)
