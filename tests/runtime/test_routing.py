"""Which windows larger branches get, and how they are laid over what is there."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.runtime import routing as routing_module
from upres.runtime.card import Card, Routing
from upres.runtime.routing import CALL, EffortMap, Plan, Planner, Window, multiply_adds, paint
from upres.runtime.tiles import Span, Tile

CELL, CONTEXT = 8, 2


def routing(*lines: tuple[float, float], costs: tuple[int, ...] = (10_000, 100_000, 400_000)) -> Routing:
    """Of a first branch and one more for each line of gain."""
    costs = costs[: len(lines) + 1]
    cards = [Card(f"b{place}_x2", 2, 5, multiply_adds=cost) for place, cost in enumerate(costs)]
    return Routing(CELL, CONTEXT, 0.0, list(lines), cards, 3, [cost / costs[-1] for cost in costs])


PAIR = routing((1.0, 0.0))


def hard(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Hardness of the cells of a picture of so many pixels, very different from cell to cell."""
    cells = (-(-height // CELL), -(-width // CELL))
    return np.exp(np.random.default_rng(seed).normal(3, 2, cells)).astype(np.float32)


def kept(windows: list[Window], height: int, width: int) -> NDArray[np.int64]:
    """How many windows keep each pixel of a picture."""
    counts = np.zeros((height, width), int)
    for window in windows:
        rows, columns = window.tile.rows, window.tile.columns
        counts[rows.keep_start : rows.keep_stop, columns.keep_start : columns.keep_stop] += 1
    return counts


@pytest.mark.parametrize("size", [(64, 64), (61, 130), (8, 8), (5, 200), (97, 3)])
@pytest.mark.parametrize("effort", [0.1, 0.5, 0.9])
def test_windows_keep_no_pixel_twice_and_see_what_surrounds_them(size: tuple[int, int], effort: float) -> None:
    height, width = size
    plan = Planner(hard(*size), PAIR, slice(0, height), size).spread(effort)
    assert kept(plan.windows, *size).max() <= 1
    for window in plan.windows:
        assert window.branch > plan.base
        for span, side in ((window.tile.rows, height), (window.tile.columns, width)):
            assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= side
            assert span.start in (0, span.keep_start - CONTEXT) or span.stop == side
            assert span.stop >= min(span.keep_stop + CONTEXT, side)


def test_windows_of_rows_in_the_middle_lie_in_them_and_see_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_module, "CALL", 0)
    height, width, rows = 200, 96, slice(64, 128)
    hardness = np.zeros((8, 12), np.float32)
    hardness[:, 2:6] = 100
    windows = Planner(hardness, PAIR, rows, (height, width), [1.0, 20.0], base=0).spread(0.9).windows
    assert windows
    assert all(
        rows.start <= window.tile.rows.keep_start < window.tile.rows.keep_stop <= rows.stop for window in windows
    )
    assert any(window.tile.rows.start == 64 - CONTEXT for window in windows)
    assert any(window.tile.rows.stop == 128 + CONTEXT for window in windows)


def test_windows_are_of_few_shapes() -> None:
    size = (200, 150)
    sizes = set()
    for effort in (0.2, 0.4, 0.6):
        for window in Planner(hard(*size), PAIR, slice(0, 200), size).spread(effort).windows:
            sizes |= {window.tile.rows.length, window.tile.columns.length}
    assert sizes
    assert sizes <= {CELL * 2**level + 2 * CONTEXT for level in range(4)}


def test_the_hardest_cells_are_first() -> None:
    size = (256, 256)
    hardness = np.zeros((32, 32), np.float32)
    hardness[:8, :8], hardness[16:24, 16:24] = 100, 50
    planner = Planner(hardness, PAIR, slice(0, 256), size)
    assert kept(planner.spread(0.12).windows, *size)[:64, :64].all()
    assert kept(planner.spread(0.12).windows, *size).sum() == 64**2
    assert kept(planner.spread(0.3).windows, *size).sum() == 2 * 64**2


def work(plan: Plan, costs: list[float], size: tuple[int, int]) -> float:
    """What a plan costs, in pixels times the costs of its branches."""
    windows = sum(costs[w.branch] * w.tile.rows.length * w.tile.columns.length for w in plan.windows)
    return costs[plan.base] * size[0] * size[1] + windows + costs[-1] * CALL * len(plan.windows)


def test_efforts_and_budgets_are_kept_and_more_brings_more() -> None:
    size, costs = (160, 240), [1.0, 5.0, 12.0]
    hardness, lines = hard(*size), ((1.0, 0.0), (1.5, 10.0))
    planner = Planner(hardness, routing(*lines), slice(0, 160), size, costs)
    pixels = size[0] * size[1]
    gains = []
    for effort in np.linspace(0, 1, 21):
        plan = planner.spread(effort)
        assert work(plan, costs, size) <= pixels * (1 + effort * 11) * (1 + 1e-6)
        branch = np.full(size, plan.base)
        for window in plan.windows:
            rows, columns = window.tile.rows, window.tile.columns
            branch[rows.keep_start : rows.keep_stop, columns.keep_start : columns.keep_stop] = window.branch
        cells = hardness.repeat(CELL, 0).repeat(CELL, 1)[: size[0], : size[1]]
        gained = [np.zeros(size), *(slope * np.maximum(cells - floor, 0) for slope, floor in lines)]
        gains.append(np.choose(branch, gained).sum())
    assert np.all(np.diff(gains) >= -1e-3 * gains[-1])
    assert gains[0] == 0
    assert gains[10] > 0.6 * gains[-1]
    assert planner.spread(1.0) == Plan(2, [])
    assert planner.afford(0.0) == Plan(0, [])


def test_where_nothing_is_hard_the_smallest_branch_does_all() -> None:
    planner = Planner(np.full((8, 8), 3, np.float32), routing((1.0, 4.0)), slice(0, 64), (64, 64))
    assert planner.at(0.0) == planner.spread(0.9) == planner.afford(1e9) == Plan(0, [])


def test_where_all_is_hard_the_largest_branch_does_all() -> None:
    size = (64, 64)
    plan = Planner(np.full((8, 8), 1e6, np.float32), PAIR, slice(0, 64), size).at(0.1)
    assert plan == Plan(1, [])
    assert multiply_adds(PAIR, plan, *size) == 3 + 100_000


@pytest.mark.parametrize("lines", [((1.0, 0.0),), ((1.0, 0.0), (2.5, 10.0))])
@pytest.mark.parametrize("price", [0.1, 1.0, 5.0, 30.0])
def test_no_other_plan_is_worth_more(lines: Any, price: float) -> None:
    """By brute force: all branches for the whole, all ways to halve 2 x 2 cells, and all branches for each part."""
    hardness = np.array([[30, 2], [4, 90]], np.float32)
    costs = [0.001, 0.01, 0.04][: len(lines) + 1]
    planner = Planner(hardness, routing(*lines), slice(0, 16), (64, 16), costs)  # of the first rows of a picture

    def gain(part: NDArray[np.float32], branch: int) -> float:
        slope, floor = [(0.0, 0.0), *lines][branch]
        return float((slope * np.maximum(part - floor, 0)).sum() * CELL**2)

    def worth(part: NDArray[np.float32], branch: int, base: int) -> float:
        seen = np.prod(
            [min(CELL * side + 2 * CONTEXT, limit) for side, limit in zip(part.shape, (64, 16), strict=True)]
        )
        return float(gain(part, branch) - gain(part, base) - price * (costs[branch] * seen + costs[-1] * CALL))

    cuts = [
        [hardness],
        [hardness[:1], hardness[1:]],
        [hardness[:, :1], hardness[:, 1:]],
        [hardness[:1], hardness[1:, :1], hardness[1:, 1:]],
        [hardness[:1, :1], hardness[:1, 1:], hardness[1:]],
        [hardness[:, :1], hardness[:1, 1:], hardness[1:, 1:]],
        [hardness[:1, :1], hardness[1:, :1], hardness[:, 1:]],
        [hardness[:1, :1], hardness[:1, 1:], hardness[1:, :1], hardness[1:, 1:]],
    ]
    whole = [gain(hardness, base) - price * costs[base] * 16 * 16 for base in range(len(costs))]
    best = max(
        whole[base] + sum(max(0.0, *(worth(part, b, base) for b in range(base + 1, len(costs))), 0.0) for part in cut)
        for base in range(len(costs))
        for cut in cuts
    )
    plan = planner.at(price)
    chosen = whole[plan.base]
    for window in plan.windows:
        spans = (window.tile.rows, window.tile.columns)
        rows, columns = (slice(span.keep_start // CELL, span.keep_stop // CELL) for span in spans)
        chosen += worth(hardness[rows, columns], window.branch, plan.base)
    assert chosen == pytest.approx(best, rel=1e-5)


def window(top: int, stop: int, left: int, right: int, size: tuple[int, int]) -> Tile:
    """A tile that keeps a rectangle and sees the context around it, within the picture."""
    spans = [
        Span(max(start - CONTEXT, 0), min(end + CONTEXT, side), start, end)
        for start, end, side in ((top, stop, size[0]), (left, right, size[1]))
    ]
    return Tile(*spans)


def laid(tiles: list[Tile], value: float, dtype: Any, rows: slice, size: tuple[int, int]) -> NDArray[Any]:
    """Windows of one value over a band of 100, at scale 2."""
    base = np.full(((rows.stop - rows.start) * 2, size[1] * 2, 3), 100, dtype)
    band = base.copy()
    for tile in tiles:
        sr = np.full((tile.rows.length * 2, tile.columns.length * 2, 3), value, dtype)
        paint(band, base, sr, tile, rows, size, 2)
    return band


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_between_windows_that_touch_nothing_of_the_smallest_branch_is_left(dtype: Any) -> None:
    size = (32, 32)
    tiles = [window(8, 16, 8, 16, size), window(16, 24, 8, 16, size), window(8, 24, 16, 24, size)]
    band = laid(tiles, 200, dtype, slice(0, 32), size)
    inside = band[2 * 8 + 2 : 2 * 24 - 2, 2 * 8 + 2 : 2 * 24 - 2]
    np.testing.assert_allclose(inside.astype(float), 200, atol=1 if np.dtype(dtype).kind == "u" else 1e-4)


def test_windows_fade_in_across_their_borders() -> None:
    size = (32, 32)
    across = laid([window(8, 24, 8, 24, size)], 200, np.float32, slice(0, 32), size)[32, :, 0]
    np.testing.assert_allclose(across[:14], 100)
    np.testing.assert_allclose(across[14:18], [112.5, 137.5, 162.5, 187.5])  # a pixel of LR on each side of 8
    np.testing.assert_allclose(across[18:46], 200)
    np.testing.assert_allclose(across[::-1], across)


def test_the_pictures_own_borders_do_not_fade_but_those_of_a_band_do() -> None:
    size = (48, 16)
    whole = laid([window(0, 48, 0, 16, size)], 200, np.float32, slice(0, 48), size)
    np.testing.assert_allclose(whole, 200)
    middle = laid([window(16, 32, 0, 16, size)], 200, np.float32, slice(16, 32), size)
    np.testing.assert_allclose(middle[[0, 1, 2, 3, 4], 5, 0], [112.5, 137.5, 162.5, 187.5, 200])
    np.testing.assert_allclose(middle[::-1], middle)


def test_what_is_paid_counts_the_router_the_smallest_branch_and_all_that_windows_see() -> None:
    size = (32, 64)
    plan = Plan(0, [Window(1, window(8, 16, 8, 16, size)), Window(1, window(0, 8, 0, 8, size))])
    assert multiply_adds(PAIR, plan, *size) == 3 + 10_000 + 100_000 * (12 * 12 + 10 * 10) / (32 * 64)


@pytest.mark.parametrize(("channels", "dtype"), [*product([1, 2, 3, 4], [np.uint8, np.uint16, np.float32])])
def test_an_effort_map_shows_the_picture_tinted_by_branch(of_kind: Any, channels: int, dtype: Any) -> None:
    lr = of_kind(channels, dtype, height=32, width=32)
    drawn = EffortMap(32, 32)
    drawn.add(lr, 0, Plan(0, [Window(1, window(8, 16, 8, 16, (32, 32)))]), 2)
    redness = drawn.pixels[..., 0].astype(int) - drawn.pixels[..., 2]
    assert redness[8:16, 8:16].min() > 0
    assert redness[20:].max() < 0
    assert drawn.pixels[20:].std() > 3
