from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from upres import Upscaler
from upres.compression import bundling
from upres.compression.bundling import make_bundle
from upres.compression.export import state_quality, write_model
from upres.errors import ImageError, ModelError
from upres.evaluation.quality import mean_psnr
from upres.images import Picture, write
from upres.runtime import bundled, load_model


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HR of 384 x 384 pixels: blurred hills beside discs with sharp edges, of all sizes."""
    folder = tmp_path_factory.mktemp("synthetic")
    y, x = np.mgrid[:384, :384]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        picture = 128 + 50 * np.sin(x / 60 + seed)[..., None] * np.cos(y / (50 + 9 * seed))[..., None] * np.ones(3)
        for _ in range(60):
            row, column, radius = rng.uniform(0, 384), rng.uniform(220, 384), rng.uniform(4, 20)
            picture[np.hypot(y - row, x - column) < radius] = rng.uniform(0, 255, 3)
        write(folder / f"{seed}.png", Picture(picture.clip(0, 255).astype(np.uint8)))
    return folder


@pytest.mark.parametrize("order", [("fast_x4", "fine_x4"), ("fine_x4", "fast_x4")])
def test_branches_go_from_the_smallest_to_the_largest(
    tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    monkeypatch.setattr(bundling, "SIDE", 48)
    card = make_bundle(order, tmp_path / "mine_x4.onnx", photographs)
    assert load_model(tmp_path / "mine_x4.onnx").card == card
    state_quality(tmp_path / "mine_x4.onnx", {"Set5": 31.0})
    card = replace(card, quality={"Set5": 31.0})
    assert load_model(tmp_path / "mine_x4.onnx").card == card
    assert (card.name, card.scale, card.network, card.quality) == ("mine_x4", 4, "bundle", {"Set5": 31.0})
    assert card.routing
    small, large = card.routing.branches
    assert (small.name, large.name) == ("fast_x4", "fine_x4")
    assert card.parameters == small.parameters + large.parameters
    ((slope, floor),) = card.routing.gains
    assert slope > 0
    assert floor >= 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine_x4.onnx"]


@pytest.mark.usefixtures("cheap_windows")
def test_the_default_loses_what_was_asked_and_saves_work(
    tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "SIDE", 96)  # the photographs' own
    fast, fine = (mean_psnr(Upscaler(name, precision="f32"), photographs, 4) for name in ("fast_x4", "fine_x4"))
    work = {}
    for loss in (0.03, 0.5):
        assert fine - fast > 2 * loss, "the smallest branch alone would lose more"
        card = make_bundle(["fast_x4", "fine_x4"], tmp_path / f"{loss}_x4.onnx", photographs, loss=loss)
        upscaler = Upscaler(tmp_path / f"{loss}_x4.onnx", precision="f32")
        # Beside what is foreseen there is the fade, and that windows see little of what surrounds them.
        assert fine - mean_psnr(upscaler, photographs, 4) <= loss + 0.03
        assert card.routing
        work[loss] = card.multiply_adds
        small, large = (branch.multiply_adds for branch in card.routing.branches)
        assert small < card.multiply_adds < large
    assert work[0.5] < work[0.03]


def test_what_cannot_be_bundled_says_why(
    tmp_path: Path, photographs: Path, two_branches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "SIDE", 48)
    out = tmp_path / "a.onnx"

    def refused(kind: type[Exception], match: str, *branches: str, folder: Path = photographs) -> None:
        with pytest.raises(kind, match=match):
            make_bundle(branches, out, folder)

    refused(ModelError, "two or more different models, not fast_x4$", "fast_x4")
    refused(ModelError, "two or more different models", "fast_x4", "fast_x4")
    refused(ModelError, "one scale, but these are fast_x2 x2, fine_x4 x4", "fine_x4", "fast_x2")
    refused(ModelError, "two_x2 is a bundle itself", str(two_branches), "fine_x2")
    refused(ModelError, "missing.onnx: cannot be read", "missing.onnx", "fine_x4")
    refused(ImageError, "none: there is no such folder", "fast_x4", "fine_x4", folder=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    refused(ImageError, "empty: holds no photographs", "fast_x4", "fine_x4", folder=tmp_path / "empty")
    router = tmp_path / "router.onnx"
    write_model(onnx.load(bundled()["fast_x4"]), replace(load_model(bundled()["fast_x4"]).card, name="router"), router)
    refused(ModelError, "cannot be called router", str(router), "fine_x4")
    with pytest.raises(ValueError, match="is what the model is made of"):
        make_bundle([str(router), "fine_x4"], router, photographs)
    assert not out.exists()


def test_no_loss_allowed_is_next_to_none(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundling, "SIDE", 96)
    make_bundle(["fast_x4", "fine_x4"], tmp_path / "none_x4.onnx", photographs, loss=0)
    routed, fine = (
        mean_psnr(Upscaler(model, precision="f32"), photographs, 4) for model in (tmp_path / "none_x4.onnx", "fine_x4")
    )
    assert routed == pytest.approx(fine, abs=0.02)  # what windows see and how they fade is not in the fit


def test_a_branch_that_only_loses_is_never_worth_it() -> None:
    cells = (3, 4)
    hardness = np.arange(12, dtype=np.float32).reshape(cells)
    errors = [np.full(cells, 10.0), np.full(cells, 11.0)]
    example = bundling._Example((72, 96), hardness, np.full(cells, 576.0), errors)
    assert bundling._line([example], 1) == (0.0, 11.0)
