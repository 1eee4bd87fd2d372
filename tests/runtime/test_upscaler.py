import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import upres
from upres.compression.export import export
from upres.errors import ImageError, ModelError
from upres.images import Metadata, Picture, resize
from upres.networks import NetworkSpec
from upres.networks.checkpoint import save_checkpoint
from upres.runtime import Card, Upscaler
from upres.runtime.model import CARD_KEY, bundled

ENGINES = ["openvino", "onnxruntime"]
SCALES = [2, 3, 4]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("tile", [1, 40, 51, 64, 100])
def test_tiles_give_the_bytes_of_one_pass(photograph: NDArray[np.uint8], scale: int, tile: int) -> None:
    lr = photograph[:131, :175]
    whole = Upscaler(scale=scale, tile=1000)(lr)
    assert np.array_equal(Upscaler(scale=scale, tile=tile)(lr), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("engine", ENGINES)
def test_tiles_in_every_dtype_and_engine(of_kind: Any, engine: str, dtype: Any) -> None:
    lr = of_kind(3, dtype, height=101, width=87)
    whole = Upscaler(scale=3, engine=engine, tile=1000)(lr)
    tiled = Upscaler(scale=3, engine=engine, tile=40)(lr)
    assert tiled.dtype == dtype
    np.testing.assert_allclose(tiled, whole, atol=1e-5 if dtype == np.float32 else 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 1), (2, 2), (3, 5), (384, 7), (385, 386)])
def test_any_size(size: tuple[int, int]) -> None:
    lr = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for scale in SCALES:
        sr = Upscaler(scale=scale)(lr)
        assert sr.shape == (size[0] * scale, size[1] * scale, 3)


def test_the_engines_agree_with_the_network_in_torch(tmp_path: Path, photograph: NDArray[np.uint8]) -> None:
    torch.manual_seed(1)
    spec = NetworkSpec("bicubicpp", {"scale": 3, "channels": 8, "anchor": True})
    network = spec.build()
    save_checkpoint(tmp_path / "a.safetensors", spec, network)
    export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    lr = photograph[:61, :77]
    with torch.inference_mode():
        sr = network(torch.from_numpy(lr / np.float32(255)).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    for engine in ENGINES:
        upscaler = Upscaler(tmp_path / "a.onnx", scale=3, engine=engine, precision="f32")
        np.testing.assert_allclose(upscaler((lr / 255).astype(np.float32)), sr, atol=1e-5)
        expected = (sr.clip(0, 1) * 255).round()
        assert np.abs(upscaler(lr) - expected).max() <= 1
        assert (upscaler(lr) == expected).mean() > 0.999
        words = upscaler(lr.astype(np.uint16) * 257)
        assert np.abs(words - sr.clip(0, 1) * 65535).max() <= 0.51 + 65535 * 1e-6


def test_values_beyond_the_range_are_clamped_not_wrapped() -> None:
    checker = np.indices((40, 40)).sum(0) // 4 % 2 * 255
    lr = np.repeat(checker[..., None], 3, axis=2).astype(np.uint8)
    for engine in ENGINES:
        sr = Upscaler(scale=4, engine=engine)(lr)
        exact = Upscaler(scale=4, engine=engine)((lr / 255).astype(np.float32))
        assert exact.max() > 1.01
        assert exact.min() < -0.01
        assert (sr[exact > 1] == 255).all()
        assert (sr[exact < 0] == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_same_kind_comes_back(of_kind: Any, channels: int, dtype: Any) -> None:
    lr = of_kind(channels, dtype)
    sr = Upscaler(scale=2)(lr)
    assert sr.dtype == dtype
    assert sr.shape == (74, 102, channels)
    expected = resize(lr.astype(np.float64), sr.shape[:2])
    seen = sr[..., :-1] * (sr[..., -1:] / expected.max()) if channels in (2, 4) else sr
    weighted = expected[..., :-1] * (expected[..., -1:] / expected.max()) if channels in (2, 4) else expected
    assert np.abs(seen - weighted).mean() < 0.05 * expected.max()


def test_grey_without_a_channel_axis(of_kind: Any) -> None:
    lr = of_kind(1, np.uint8)
    upscaler = Upscaler(scale=2)
    assert np.array_equal(upscaler(lr[..., 0]), upscaler(lr)[..., 0])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_surroundings_leave_no_fringe(dtype: Any, soft: bool) -> None:
    peak = np.iinfo(dtype).max
    y, x = np.mgrid[:60, :60]
    alpha = np.clip((20 - np.hypot(y - 30, x - 30)) * (1 if soft else 1000) + 0.5, 0, 1)
    colour = np.array([peak, peak // 2, peak // 8])
    lr = np.zeros((60, 60, 4), dtype)
    lr[..., :3] = np.where(alpha[..., None] > 0, colour, [0, peak, 0])  # green where it cannot be seen
    lr[..., 3] = np.rint(alpha * peak)
    for scale in (0.5, 1.5, *SCALES):
        sr = Upscaler(scale=scale)(lr)
        opacity = sr[..., 3:] / peak
        assert 0.85 < opacity.sum() / (np.pi * 20**2 * scale**2) < 1.15
        seen = opacity * np.abs(sr[..., :3] - colour) / peak  # the error over a background of the same colour
        assert seen.max() < 0.02
        assert np.array_equal(Upscaler(scale=scale, tile=20)(lr), sr)


def test_opaque_alpha_changes_nothing(of_kind: Any) -> None:
    rgb = of_kind(3, np.uint8)
    rgba = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=2)
    sr = Upscaler(scale=3)(rgba)
    assert np.array_equal(sr[..., :3], Upscaler(scale=3)(rgb))
    assert (sr[..., 3] == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_pillow_images_come_back_as_pillow_images(photograph: NDArray[np.uint8], mode: str) -> None:
    rgb = Image.fromarray(photograph[:20, :30])
    image = Image.fromarray(photograph[:20, :30, 0].astype(np.uint16) * 257) if mode == "I;16" else rgb.convert(mode)
    image.info["icc_profile"] = None if mode == "CMYK" else b"profile"
    sr = Upscaler(scale=2)(image)
    assert isinstance(sr, Image.Image)
    assert sr.size == (60, 40)
    assert sr.mode == {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert sr.info.get("icc_profile") == image.info["icc_profile"]


def test_a_turned_pillow_image_comes_back_upright_and_is_left_alone(photograph: NDArray[np.uint8]) -> None:
    image = Image.fromarray(photograph[:20, :30])
    image.getexif()[0x0112] = 6
    sr = Upscaler(scale=2)(image)
    assert sr.size == (40, 60)
    assert sr.getexif().get(0x0112, 1) == 1
    assert image.getexif()[0x0112] == 6
    expected = Upscaler(scale=2)(np.ascontiguousarray(np.rot90(photograph[:20, :30], -1)))
    assert np.array_equal(np.asarray(sr), expected)


def test_pictures_keep_their_metadata(of_kind: Any) -> None:
    picture = Picture(of_kind(3, np.uint8), Metadata(icc=b"x"), "jpeg", ("a notice",))
    sr = Upscaler(scale=2)(picture)
    assert (sr.metadata, sr.format, sr.notices) == (picture.metadata, "jpeg", ("a notice",))


@pytest.mark.parametrize("scale", [0.5, 1, 1.5, 2.5, 3.7, 5, 8])
def test_any_scale_is_sharp_or_at_least_there(photograph: NDArray[np.uint8], scale: float) -> None:
    lr = photograph[:33, :45]
    sr = Upscaler(scale=scale)(lr)
    expected = tuple(int(np.ceil(scale * side)) for side in (33, 45))
    assert sr.shape == (*expected, 3)
    assert np.abs(sr.astype(int) - resize(lr, (expected[0], expected[1]))).mean() < 9


def test_sizes_are_rounded_up_but_not_for_what_floats_lack() -> None:
    assert Upscaler(scale=1.1).target(100, 101) == (110, 112)
    assert Upscaler(scale=3).target(7, 5) == (21, 15)


def test_a_target_size(photograph: NDArray[np.uint8]) -> None:
    assert Upscaler()(photograph, size=(300, 301)).shape == (300, 301, 3)
    assert np.array_equal(Upscaler()(photograph, size=(88, 120)), resize(photograph, (88, 120)))


def test_a_target_that_is_out_of_reach_is_refused(photograph: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="more than 32 times"):
        Upscaler()(photograph[:4, :4], size=(4, 200))


def test_a_model_of_the_next_larger_scale_is_taken(photograph: NDArray[np.uint8]) -> None:
    lr = photograph[:40, :40]
    expected = resize(Upscaler("fast_x3")(lr, size=(120, 120)), (100, 100))
    assert np.array_equal(Upscaler("fast", scale=2.5)(lr), expected)


def test_several_threads_share_one_upscaler(photograph: NDArray[np.uint8]) -> None:
    upscaler = Upscaler(scale=2, tile=64)
    crops = [np.ascontiguousarray(photograph[start : start + 90, start : start + 130]) for start in range(0, 60, 10)]
    expected = [upscaler(crop) for crop in crops]
    made: dict[int, NDArray[np.uint8]] = {}

    def work(number: int) -> None:
        made[number] = upscaler(crops[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(crops))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(made[number], expected[number]) for number in range(len(crops)))


def test_the_first_calls_may_come_from_two_threads_at_once() -> None:
    code = (
        "import threading, numpy, upres\n"
        "upscaler, barrier = upres.Upscaler(scale=2), threading.Barrier(4)\n"
        "def work(dtype): barrier.wait(); upscaler(numpy.zeros((64, 64, 3), dtype))\n"
        "threads = [threading.Thread(target=work, args=(dtype,)) for dtype in 2 * (numpy.uint8, numpy.uint16)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("model", ["fast", "auto"])
def test_goes_to_another_process_after_a_picture(model: str, photograph: Any) -> None:
    upscaler = Upscaler(model, scale=2)
    made = upscaler(photograph)
    assert np.array_equal(pickle.loads(pickle.dumps(upscaler))(photograph), made)


def test_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"choose one of auto, .*fast_x2"):
        Upscaler("none")
    with pytest.raises(ModelError, match="cannot be read"):
        Upscaler("missing.onnx")
    (tmp_path / "a.onnx").write_bytes(b"not onnx")
    with pytest.raises(ModelError, match="not an ONNX"):
        Upscaler(tmp_path / "a.onnx")
    for model in ("fast", "auto"):
        with pytest.raises(ModelError, match="no engine"):
            Upscaler(model, engine="abacus")
    with pytest.raises(ModelError, match="no precision"):
        Upscaler(precision="f7")
    with pytest.raises(ModelError, match="f32, not bf16"):
        Upscaler(engine="onnxruntime", precision="bf16")
    for scale in (0, -1, 33, float("nan")):
        with pytest.raises(ValueError, match="scale"):
            Upscaler(scale=scale)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_card_of_another_scale_than_the_networks_is_told_of(
    tmp_path: Path, of_kind: Any, engine: str, dtype: Any
) -> None:
    model = onnx.load(bundled()["fast_x2"])
    (card,) = (item for item in model.metadata_props if item.key == CARD_KEY)
    card.value = replace(Card.from_json(card.value), scale=4).to_json()
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="does not upscale by 4, as its card says"):
        Upscaler(tmp_path / "a.onnx", engine=engine)(of_kind(3, dtype))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.zeros(4, np.uint8),
        "a",
    ],
)
def test_images_of_other_kinds_are_refused(image: Any) -> None:
    with pytest.raises(ImageError):
        Upscaler()(image)


def test_one_call_from_path_to_path(tmp_path: Path, examples: Path, of_kind: Any) -> None:
    picture = upres.upscale(examples / "cat.webp", scale=2, output=tmp_path / "a.png")
    assert np.array_equal(upres.read(tmp_path / "a.png").pixels, picture.pixels)
    assert upres.upscale(of_kind(3, np.uint8), size=(50, 60), output=str(tmp_path / "b.png")).shape == (50, 60, 3)
    assert upres.upscale(Image.new("L", (5, 4)), output=tmp_path / "c.tif").size == (20, 16)
    assert upres.read(tmp_path / "c.tif").pixels.shape == (16, 20, 1)
    sr = upres.upscale(of_kind(3, np.float32), scale=2, output=tmp_path / "d.png")
    assert sr.dtype == np.float32
    assert np.abs(upres.read(tmp_path / "d.png").pixels / 65535 - sr.clip(0, 1)).max() < 1e-5


def test_nothing_that_upscales_imports_torch() -> None:
    code = (
        "import sys, numpy, upres; upres.Upscaler(scale=2)(numpy.zeros((4, 4, 3), numpy.uint8)); upres.models();"
        "import upres.jobs, upres.cli.main; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
