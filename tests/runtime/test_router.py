"""Pictures through a model of several branches."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from upres.compression.export import write_model
from upres.errors import ModelError
from upres.images import Rows, make_lr, read
from upres.runtime import EffortMap, Upscaler, bundled, load_model, router
from upres.runtime.bundle import ROUTER, bundle, detail_router
from upres.runtime.card import Routing
from upres.runtime.routing import Plan

CELL = 24
pytestmark = pytest.mark.usefixtures("cheap_windows")
ENGINES = ["openvino", "onnxruntime"]


@pytest.fixture(scope="session")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of fast_x4 and fine_x4, which takes the latter where the Laplacian is above 8 levels."""
    models = [load_model(bundled()[name]) for name in ("fast_x4", "fine_x4")]
    cards = [model.card for model in models]
    spent = Routing(CELL, 4, 64, [(1.0, 16.0)], cards, 48, [0.12, 1.0])
    parts = {ROUTER: detail_router(CELL), **{model.card.name: model.onnx for model in models}}
    path = tmp_path_factory.mktemp("routed") / "routed_x4.onnx"
    card = dataclasses.replace(cards[1], name=path.stem, routing=spent)
    write_model(onnx.load_from_string(bundle(parts)), card, path)
    return path


@pytest.fixture(scope="session")
def halves(photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photograph whose left half is one colour."""
    lr = photograph[:120, :200].copy()
    lr[:, :100] = 127
    return lr


def run(upscaler: Upscaler, lr: Any) -> tuple[NDArray[Any], EffortMap]:
    drawn = EffortMap(*lr.shape[:2])
    return np.concatenate(list(upscaler.bands(lr, effort_map=drawn))), drawn


def inside(drawn: EffortMap) -> NDArray[np.bool_]:
    """The SR pixels that windows keep, but for those that fade."""
    height, width, _ = drawn.pixels.shape
    mask = np.zeros((4 * height, 4 * width), bool)
    for window in drawn.plans[0].windows:
        rows, columns = (
            slice(4 * (span.keep_start + (span.keep_start > 0)), 4 * (span.keep_stop - (span.keep_stop < side)))
            for span, side in ((window.tile.rows, height), (window.tile.columns, width))
        )
        mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(("effort", "branch"), [(0, "fast_x4"), (100, "fine_x4")])
def test_no_effort_is_the_smallest_branch_and_all_effort_the_largest(
    routed: Path, photograph: NDArray[np.uint8], effort: float, branch: str
) -> None:
    sr = Upscaler(routed, effort=effort, precision="f32")(photograph)
    assert np.array_equal(sr, Upscaler(branch, precision="f32")(photograph))


@pytest.mark.parametrize("effort", [None, 45])
def test_what_is_flat_stays_with_the_smallest_branch(
    routed: Path, halves: NDArray[np.uint8], effort: float | None
) -> None:
    sr, drawn = run(Upscaler(routed, effort=effort, precision="f32"), halves)
    fast, fine = (Upscaler(name, precision="f32")(halves) for name in ("fast_x4", "fine_x4"))
    (plan,) = drawn.plans
    assert plan.base == 0
    assert all(window.tile.columns.keep_start >= 96 for window in plan.windows)
    assert np.array_equal(sr[:, : 4 * 80], fast[:, : 4 * 80])
    within = inside(drawn)
    assert within.mean() > 0.05
    difference = np.abs(sr[within].astype(int) - fine[within])
    assert difference.max() <= 16  # by what little context leaves out
    assert np.mean(difference > 1) < 0.005


def test_a_blank_page_costs_nothing_more_and_a_page_of_print_goes_to_the_largest(routed: Path) -> None:
    rng = np.random.default_rng(0)
    blank = np.full((120, 160, 3), 250, np.uint8) - rng.integers(0, 3, (120, 160, 1)).astype(np.uint8)
    page = np.where(rng.random((120, 160, 1)) < 0.4, 20, 240).repeat(3, 2).astype(np.uint8)
    upscaler = Upscaler(routed, precision="f32")
    sr, drawn = run(upscaler, blank)
    assert drawn.plans == [Plan(0, [])]
    assert np.array_equal(sr, Upscaler("fast", precision="f32")(blank))
    sr, drawn = run(upscaler, page)
    assert drawn.plans == [Plan(1, [])]
    assert np.array_equal(sr, Upscaler("fine", precision="f32")(page))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_every_kind(routed: Path, of_kind: Any, channels: int, dtype: Any) -> None:
    lr = of_kind(channels, dtype, height=45, width=61)
    sr = Upscaler(routed, effort=60, precision="f32")(lr)
    fine = Upscaler("fine_x4", precision="f32")(lr)
    assert (sr.shape, sr.dtype) == (fine.shape, dtype)
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    assert np.abs(sr.astype(float) - fine).mean() < 0.02 * peak


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (5, 7), (25, 13), (100, 1)])
@pytest.mark.parametrize("effort", [None, 50])
def test_any_size(routed: Path, size: tuple[int, int], effort: float | None) -> None:
    lr = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    sr = Upscaler(routed, effort=effort)(lr)
    assert sr.shape == (4 * size[0], 4 * size[1], 3)


@pytest.mark.parametrize("size", [(130, 171), (97, 120), (191, 64), (200, 90)])
def test_windows_are_the_largest_branch_where_a_strip_ends_with_the_picture_too(
    routed: Path, photograph: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    lr = np.pad(photograph, ((0, 40), (0, 0), (0, 0)), "reflect")[: size[0], : size[1]].copy()
    lr[:, : size[1] // 2] = 127
    sr, drawn = run(Upscaler(routed, effort=70, precision="f32"), lr)
    fine = Upscaler("fine_x4", precision="f32")(lr)
    within = inside(drawn)
    assert within.mean() > 0.05
    assert np.mean(np.abs(sr[within].astype(int) - fine[within]) > 1) < 0.01


def test_rows_that_come_in_bands_give_the_same_bytes(
    routed: Path, photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Upscaler(routed, precision="f32")(photograph)
    bands = [photograph[start : start + 17] for start in range(0, len(photograph), 17)]
    rows = Rows(photograph.shape, photograph.dtype, bands)
    assert np.array_equal(np.concatenate(list(Upscaler(routed, precision="f32").bands(rows))), whole)
    # In blocks of one strip each, of which none sees the others' windows.
    monkeypatch.setattr(router, "BLOCK", 1)
    rows = Rows(photograph.shape, photograph.dtype, bands)
    blocks = np.concatenate(list(Upscaler(routed, precision="f32").bands(rows)))
    fast, fine = (Upscaler(name, precision="f32")(photograph).astype(int) for name in ("fast_x4", "fine_x4"))
    assert np.abs(blocks - fine).mean() < 0.5 * np.abs(fast - fine).mean()


def test_both_engines_agree(routed: Path, photograph: NDArray[np.uint8]) -> None:
    pytest.importorskip("onnxruntime")
    first, second = (Upscaler(routed, engine=engine, precision="f32")(photograph).astype(int) for engine in ENGINES)
    assert np.abs(first - second).max() <= 1


def test_a_budget_buys_what_fits_into_it(routed: Path, photograph: NDArray[np.uint8]) -> None:
    sr, drawn = run(Upscaler(routed, budget=1e-4, precision="f32"), photograph)
    assert drawn.plans == [Plan(0, [])]
    assert np.array_equal(sr, Upscaler("fast", precision="f32")(photograph))
    sr, drawn = run(Upscaler(routed, budget=600, precision="f32"), photograph)
    assert np.array_equal(sr, Upscaler("fine", precision="f32")(photograph))


@pytest.mark.parametrize(("scale", "size"), [(3, (528, 720)), (8, (1408, 1920)), (0.5, (88, 120))])
def test_other_scales(routed: Path, photograph: NDArray[np.uint8], scale: float, size: tuple[int, int]) -> None:
    assert Upscaler(routed, scale=scale, effort=30)(photograph).shape[:2] == size


def test_errors(routed: Path, photograph: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="effort must be 0 to 100, not 101"):
        Upscaler(routed, effort=101)
    with pytest.raises(ValueError, match="budget must be above 0 seconds"):
        Upscaler(routed, budget=0)
    with pytest.raises(ValueError, match="not both"):
        Upscaler(routed, effort=50, budget=1)
    with pytest.raises(ModelError, match="fast is one network"):
        Upscaler("fast", effort=50)
    with pytest.raises(ModelError, match="effort-map needs"):
        list(Upscaler("fast").bands(photograph, effort_map=EffortMap(*photograph.shape[:2])))


@pytest.mark.parametrize("effort", [30, 60])
def test_windows_leave_no_seams(shared: Path, routed: Path, effort: float) -> None:
    """Steps across their borders are those that the largest branch alone has there."""
    steps: dict[str, list[float]] = {"routed": [], "whole": []}
    for path in sorted((shared / "data/val").glob("*.webp"))[:4]:
        lr, _ = make_lr(read(path).rgb8(), 4)
        sr, drawn = run(Upscaler(routed, effort=effort, precision="f32"), lr)
        whole = Upscaler("fine_x4", precision="f32")(lr)
        for name, picture in (("routed", sr), ("whole", whole)):
            luma = picture.mean(2)
            for window in drawn.plans[0].windows:
                rows, columns = window.tile.rows, window.tile.columns
                inside = slice(4 * rows.keep_start, 4 * rows.keep_stop)
                for border in {columns.keep_start, columns.keep_stop} - {0, lr.shape[1]}:
                    # The second difference: what a step would add to the slope that is there.
                    around = luma[inside, 4 * border - 2 : 4 * border + 2]
                    steps[name].append(np.abs(around[:, 1] - around[:, 2] - (around[:, 0] - around[:, 3]) / 3).mean())
    assert len(steps["routed"]) >= 10
    assert np.mean(steps["routed"]) <= 1.05 * np.mean(steps["whole"])
