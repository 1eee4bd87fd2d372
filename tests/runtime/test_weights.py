"""The bundled models: their cards are true and their quality is what the project promises."""

import io
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from upres.errors import ModelError
from upres.evaluation.quality import mean_psnr
from upres.images import make_lr, read
from upres.metrics import niqe, psnr, rmse
from upres.runtime import Upscaler, bundled, load_model, models
from upres.runtime.bundle import branches_of
from upres.runtime.processor import gains_by_bytes
from upres.runtime.saturation import saturates
from upres.training.recipe import load_recipe

SET14 = {
    "fast_x2": 32.35,
    "fast_x3": 29.2,
    "fast_x4": 27.55,
    "fine_x2": 33.0,
    "fine_x3": 29.8,
    "fine_x4": 28.2,
    "medium_x2": 32.9,
    "medium_x3": 29.7,
    "medium_x4": 28.05,
    "vivid_x4": 27.1,
    "auto_x2": 33.0,
    "auto_x3": 29.8,
    "auto_x4": 28.15,
}

VARIANTS = [*((family, scale) for family in ("fast", "fine") for scale in (2, 3, 4)), ("vivid", 4)]

TWINS = [
    *(
        f"{name}_int8_x{scale}"
        for name in ("fast", "fast_jpeg", "medium", "fine", "fine_jpeg", "auto")
        for scale in (2, 3, 4)
    ),
    "vivid_int8_x4",
    "vivid_jpeg_int8_x4",
]


@pytest.mark.parametrize("name", TWINS)
def test_int8_is_taken_and_costs_little(shared: Path, name: str) -> None:
    scale, model = int(name[-1]), name.replace("_int8", "")
    auto = Upscaler(model, scale=scale)
    if gains_by_bytes():
        assert [chosen.card.name for chosen in auto.route(scale)] == [name]
    reached = mean_psnr(Upscaler(model, scale=scale, precision="int8"), shared / "data/Set14", scale)
    cards = {card.name: card for card in models()}
    assert cards[name].quality["Set14"] == pytest.approx(reached, abs=0.01)
    assert cards[model].quality["Set14"] - reached <= 0.035


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("name", [name for name in TWINS if "vivid" not in name])  # in which they do not in f32 either
def test_black_and_white_stay_so_in_int8(name: str, level: int) -> None:
    scale, even = int(name[-1]), np.full((72, 80, 3), level, np.uint8)
    inside = Upscaler(name, scale=scale)(even)[24 * scale : -24 * scale, 24 * scale : -24 * scale]
    assert (inside == level).all()


@pytest.mark.parametrize("name", TWINS)
def test_int8_is_the_same_by_every_engine_and_in_tiles(name: str, examples: Path) -> None:
    scale, lr = int(name[-1]), read(examples / "colosseum.webp").rgb8()[40:200, 60:240]
    whole = Upscaler(name, scale=scale)(lr)
    other = Upscaler(name, scale=scale, engine="onnxruntime")(lr)
    assert np.mean(whole != other) < 3e-4  # where scales had all bits: 2e-4 with fast, up to 0.24 with others
    assert np.abs(whole.astype(int) - other).max() <= 1
    assert np.array_equal(Upscaler(name, scale=scale, tile=48, threads=1)(lr), whole)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="of x86's instructions")
@pytest.mark.parametrize("name", ["fast_int8_x4", "fine_int8_x4"])
def test_int8_is_the_same_by_older_processors(name: str, tmp_path: Path) -> None:
    lr = np.random.default_rng(0).integers(0, 256, (96, 80, 3), np.uint8)
    np.save(tmp_path / "lr.npy", lr)
    program = (
        "import sys, numpy, upres; numpy.save(sys.argv[3], upres.upscale(numpy.load(sys.argv[2]), model=sys.argv[1]))"
    )
    older = os.environ | {"ONEDNN_MAX_CPU_ISA": "SSE41", "XDG_CACHE_HOME": str(tmp_path)}
    arguments = [name, str(tmp_path / "lr.npy"), str(tmp_path / "sr.npy")]
    subprocess.run([sys.executable, "-c", program, *arguments], env=older, check=True)
    assert np.array_equal(np.load(tmp_path / "sr.npy"), Upscaler(name, scale=4)(lr))


@pytest.mark.parametrize("name", TWINS)
def test_int8_does_not_overflow_where_there_is_no_vnni(name: str) -> None:
    assert not saturates(load_model(bundled()[name]).onnx)


def test_a_precision_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = Path(shutil.copy(bundled()["fast_x2"], tmp_path / "mine.onnx"))
    with pytest.raises(ModelError, match="fast_x2 has no int8 model"):
        Upscaler(copied, scale=2, precision="int8")
    with pytest.raises(ModelError, match="computes in int8, not f32"):
        Upscaler("fast_int8_x3", scale=3, precision="f32")
    monkeypatch.setattr("upres.runtime.upscaler.gains_by_bytes", lambda: False)
    assert [model.card.name for model in Upscaler("fast", scale=3).route(3)] == ["fast_x3"]


@pytest.mark.parametrize("name", SET14)
def test_set14_reaches_the_bar_and_the_card_says_so(shared: Path, name: str) -> None:
    scale = int(name[-1])
    reached = mean_psnr(Upscaler(name, scale=scale, precision="f32"), shared / "data/Set14", scale)
    assert reached >= SET14[name]
    (card,) = (card for card in models() if card.name == name)
    assert card.quality["Set14"] == pytest.approx(reached, abs=0.01)


def compressed(lr: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(lr).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(("family", "scale"), VARIANTS)
def test_the_variant_for_compressed_pictures_is_better_on_them(shared: Path, family: str, scale: int) -> None:
    plain, variant = (Upscaler(name, scale=scale, precision="f32") for name in (family, f"{family}_jpeg"))
    gains = []
    for path in sorted((shared / "data/val").glob("*.webp"))[:4]:
        lr, hr = make_lr(read(path).rgb8(), scale)
        lr = compressed(lr, 50)
        gains.append(psnr(variant(lr), hr, shave=scale) - psnr(plain(lr), hr, shave=scale))
    assert min(gains) > 0
    assert np.mean(gains) > 0.2


@pytest.mark.parametrize(("variant", "quality"), [("", None), ("_jpeg", 50)])
def test_vivid_looks_more_natural_than_fine_and_stays_near(shared: Path, variant: str, quality: int | None) -> None:
    fine, vivid = (Upscaler(f"{family}{variant}", scale=4, precision="f32") for family in ("fine", "vivid"))
    lower = []
    for path in sorted((shared / "data/val").glob("*.webp"))[:3]:
        lr, hr = make_lr(read(path).rgb8(), 4)
        lr = compressed(lr, quality) if quality else lr
        sr = vivid(lr)
        lower.append(niqe(fine(lr), shave=4) - niqe(sr, shave=4))
        assert rmse(sr, hr, shave=4) < 16  # PIRM 2018's third region
        shift = np.abs(sr.mean((0, 1)) - hr.mean((0, 1)))
        assert shift.max() < 2  # levels: no change of colour
    assert np.mean(lower) > 0.5


def test_the_cards_are_complete_and_the_files_small() -> None:
    cards = models()
    variants = [f"{family}_jpeg_x{scale}" for family, scale in VARIANTS]
    assert [card.name for card in cards] == sorted([*SET14, *variants, *TWINS])
    for card, path in zip(cards, bundled().values(), strict=True):
        assert card.data
        assert card.licence == "Apache-2.0"
        if card.routing is None:
            assert card.recipe == card.name.replace("_int8", "")
            assert load_recipe(card.recipe).network.arguments["scale"] == card.scale
        assert (card.precision == "int8") == (card.name in TWINS)
        assert card.parameters > 0
        assert card.halo is not None
        assert {"Set5", "Set14"} <= set(card.quality)
        assert path.stat().st_size < (
            1_900_000 if "vivid" in card.name else 1_200_000 if card.routing is None else 1_700_000
        )


@pytest.mark.parametrize("name", ["auto_x2", "auto_x3", "auto_x4", "auto_int8_x2", "auto_int8_x3", "auto_int8_x4"])
def test_auto_is_made_of_the_models_that_are_bundled(name: str) -> None:
    model = load_model(bundled()[name])
    branches = branches_of(model)
    int8, scale = "_int8" if "int8" in name else "", model.card.scale
    expected = [f"{family}{int8}_x{scale}" for family in ("fast", "medium", "fine")]
    assert [branch.card.name for branch in branches] == expected
    for branch in branches:
        alone = load_model(bundled()[branch.card.name])
        assert branch.card == alone.card
        first, second = (onnx.load_from_string(part.onnx).graph.initializer for part in (branch, alone))
        assert {tensor.name: tensor.raw_data for tensor in first} == {tensor.name: tensor.raw_data for tensor in second}


def test_a_4k_result_costs_at_most_1_6_times_the_multiply_adds_of_x3() -> None:
    fast = [card for card in models() if card.name.startswith("fast_x")]
    cost = {card.scale: card.multiply_adds / card.scale**2 for card in fast}
    assert max(cost.values()) <= 1.6 * cost[3]
