"""Which model of a family is taken: its scale, and its variant for compressed pictures.

The models of `bundle` repeat pixels and leave a share of their brightness, so pixels of 200 tell which ones were run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import upres
from upres.errors import ModelError
from upres.images import Picture, resize
from upres.runtime import Upscaler

Bundle = Callable[[dict[str, float]], dict[str, Path]]

FLAT = np.full((16, 24, 3), 200, np.uint8)


@pytest.fixture
def families(bundle: Bundle) -> dict[str, Path]:
    fast = {"fast_x2": 1.0, "fast_x3": 0.95, "fast_x4": 0.9, "fast_jpeg_x2": 0.5, "fast_jpeg_x4": 0.4}
    return bundle(fast | {"vivid_x4": 0.8, "vivid_jpeg_x4": 0.3, "lone_x2": 0.7})


def brightness(upscaler: Upscaler, jpeg_quality: int | None = None) -> int:
    """What becomes of 200, everywhere in a picture."""
    (value,) = np.unique(upscaler(Picture(FLAT, format="jpeg", jpeg_quality=jpeg_quality)).pixels)
    return int(value)


@pytest.mark.parametrize(
    ("denoise", "jpeg_quality", "expected"),
    [
        ("auto", None, 200),
        ("auto", 1, 100),
        ("auto", 84, 100),
        ("auto", 85, 200),
        ("auto", 100, 200),
        ("on", None, 100),
        ("on", 100, 100),
        ("off", None, 200),
        ("off", 1, 200),
    ],
)
def test_the_variant_is_for_jpegs_of_low_quality_or_as_told(
    families: object, denoise: str, jpeg_quality: int | None, expected: int
) -> None:
    assert brightness(Upscaler("fast", scale=2, denoise=denoise), jpeg_quality) == expected


def test_every_picture_is_judged_on_its_own_and_the_result_is_no_jpeg_any_more(families: object) -> None:
    upscaler = Upscaler("fast", scale=2)
    assert [brightness(upscaler, quality) for quality in (None, 50, 95, 50)] == [200, 100, 200, 100]
    result = upscaler(Picture(FLAT, jpeg_quality=50))
    assert result.jpeg_quality is None
    assert (upscaler(result).pixels == 100).all()


@pytest.mark.parametrize(("quality", "expected"), [(60, 100), (95, 200)])
def test_files_and_pillow_images_are_judged_and_arrays_are_not(
    families: object, tmp_path: Path, quality: int, expected: int
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(FLAT).save(path, quality=quality)
    assert (upres.upscale(path, scale=2).pixels == expected).all()
    with Image.open(path) as image:
        assert (np.asarray(upres.upscale(image, scale=2)) == expected).all()
        assert (np.asarray(Upscaler(scale=2)(image)) == expected).all()
        assert (upres.upscale(np.asarray(image), scale=2) == 200).all()
    assert (upres.upscale(path, scale=2, denoise="off").pixels == 200).all()
    assert (upres.upscale(FLAT, scale=2, denoise="on") == 100).all()


def test_without_a_variant_of_the_scale_auto_takes_the_plain_model(families: object) -> None:
    assert brightness(Upscaler("fast", scale=3), 50) == 190
    assert brightness(Upscaler("lone", scale=2), 50) == 140


@pytest.mark.parametrize(("model", "scale"), [("fast", 3), ("lone", 2), ("lone", 1)])
def test_without_a_variant_on_says_which_families_have_one(families: object, model: str, scale: float) -> None:
    with pytest.raises(ModelError, match=rf"{model} has no .* at x[23].*; fast \(x2, x4\), vivid \(x4\) have them"):
        Upscaler(model, scale=scale, denoise="on")


def test_where_no_family_has_one_that_is_said(bundle: Bundle) -> None:
    bundle({"fast_x2": 1.0})
    with pytest.raises(ModelError, match="no bundled family has them"):
        Upscaler(scale=2, denoise="on")


def test_sizes_find_out_later_which_variant_they_need(families: object) -> None:
    upscaler = Upscaler("fast", scale=1, denoise="on")
    assert (upscaler(FLAT, size=(64, 96)) == 80).all()
    assert (upscaler(FLAT, size=(8, 12)) == 200).all()
    with pytest.raises(ModelError, match="at x3"):
        upscaler(FLAT, size=(48, 72))


def test_a_model_has_the_variant_of_its_family_and_a_variant_is_one_itself(families: object) -> None:
    assert brightness(Upscaler("fast_x4", scale=2), 50) == 80
    assert brightness(Upscaler("fast_x4", scale=2), 95) == 180
    for denoise in ("auto", "on", "off"):
        assert brightness(Upscaler("fast_jpeg", scale=2, denoise=denoise), 95) == 100
        assert brightness(Upscaler("fast_jpeg_x4", scale=4, denoise=denoise)) == 80


def test_a_model_file_has_none(families: dict[str, Path]) -> None:
    file = families["fast_x2"]
    assert brightness(Upscaler(file, scale=2), 50) == brightness(Upscaler(file, scale=2), 95)
    with pytest.raises(ModelError, match=r"fast_x2\.onnx has no model for compressed pictures"):
        Upscaler(file, scale=2, denoise="on")


def test_compression_is_removed_once(families: object) -> None:
    assert brightness(Upscaler("fast", scale=8), 50) == 90  # fast_jpeg_x2, then fast_x4
    assert brightness(Upscaler("fast", scale=8), 95) == 180
    assert brightness(Upscaler("vivid", scale=16, denoise="on")) == 48  # vivid_jpeg_x4, then vivid_x4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_variant_is_run_as_any_model(families: object, of_kind: Any, channels: int, dtype: Any) -> None:
    lr = of_kind(channels, dtype)
    made = Upscaler("fast", scale=2, denoise="on")(lr)
    assert (made.dtype, made.shape) == (dtype, (74, 102, channels))
    assert np.array_equal(made, Upscaler("fast_jpeg", scale=2, tile=16)(lr))


@pytest.mark.parametrize("scale", [0.5, 1.5, 2, 3, 5])
def test_a_family_of_one_scale_serves_all(families: object, photograph: Any, scale: float) -> None:
    lr = photograph[:40, :64]
    made = Upscaler("vivid", scale=scale)(lr)
    target = (int(40 * scale), int(64 * scale))
    assert np.array_equal(made, resize(Upscaler("vivid_x4", scale=4)(lr) if scale > 1 else lr, target))
    assert Upscaler.native_scale("vivid") == 4


def test_other_words_are_refused(families: object) -> None:
    with pytest.raises(ValueError, match="denoise must be auto, on or off, not 'yes'"):
        Upscaler(denoise="yes")


def test_a_model_that_keeps_the_size_runs_once_at_any_scale(bundle: Any, photograph: NDArray[np.uint8]) -> None:
    bundle({"style_x1": 0.5})
    lr = photograph[:40, :60]
    styled = np.rint(lr * np.float32(0.5)).astype(np.uint8)
    for scale, size in ((1, (40, 60)), (2, (80, 120)), (0.5, (20, 30))):
        sr = Upscaler("style", scale=scale)(lr)
        assert np.abs(sr.astype(int) - resize(styled, size)).max() <= 1
