import json
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres.errors import ImageError, ModelError, UpresError
from upres.evaluation.measures import MEASURES, Measure, Settings
from upres.evaluation.methods import open_method, open_methods
from upres.evaluation.pairs import find_pairs
from upres.evaluation.quality import evaluate, mean_psnr
from upres.images import Picture, read, resize, write
from upres.networks import NetworkSpec
from upres.networks.base import upscale_rgb8
from upres.networks.checkpoint import save_checkpoint


def chosen(scale: int, *names: str, round_luma: bool = False) -> dict[str, Measure]:
    return {name: MEASURES[name](Settings(scale, round_luma)) for name in names}


@pytest.fixture
def photographs(tmp_path: Path, photograph: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        write(folder / f"{number}.png", Picture(np.ascontiguousarray(photograph[number:, 10 * number :])))
    return folder


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_on_set5_has_the_golden_means(shared: Path, scale: int) -> None:
    published = json.loads((shared / "reference/golden/selfexsr_published_set5.json").read_text())[f"Set5_x{scale}"]
    column = published["methods"].index("Bicubic")
    result = evaluate(
        open_method("bicubic", scale),
        find_pairs(shared / "data/Set5", scale),
        chosen(scale, "psnr_y", "ssim_y", round_luma=True),
    )
    assert result.means["psnr_y"] == pytest.approx(published["mean_psnr_y"][column], abs=1e-4)
    assert result.means["ssim_y"] == pytest.approx(published["mean_ssim_y"][column], abs=1e-5)
    assert "rounded" in result.conventions["psnr_y"]
    assert f"{scale} pixels shaved" in result.conventions["ssim_y"]


@pytest.mark.parametrize(
    ("entry", "weights"),
    [
        ("rfdn_x4", "rfdn_x4_official"),
        ("imdn_x4", "imdn_x4_official"),
        ("imdn_baseline_x4", "imdn_baseline_ntire2022_x4"),
        ("pan_x3", "pan_x3_official"),
        ("pan_x4", "pan_x4_official"),
        ("carn_m_x4", "carn_m_multi_official"),
        ("bsrn_x4", "bsrn_ntire2022_x4"),
        ("rlfn_x4", "rlfn_ntire2022_x4"),
        ("efdn_x4", "efdn_ntire2022_x4"),
        ("span_ch28_x4", "span_ch28_ntire2024_x4"),
        ("bicubicpp_x3", "bicubicpp_x3_official"),
    ],
)
def test_official_networks_have_the_golden_values_of_every_image(shared: Path, entry: str, weights: str) -> None:
    golden = json.loads((shared / "reference/golden/psnr_ssim_set5.json").read_text())["results"][entry]
    scale = golden["scale"]
    method = open_method(str(shared / f"reference/weights/{weights}.safetensors"), scale)
    measures = chosen(scale, "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")
    result = evaluate(method, find_pairs(shared / "data/Set5", scale), measures)
    assert set(result.images) == set(golden["per_image"])
    for image, values in golden["per_image"].items():
        for name in measures:
            digit = 5e-4 if name.startswith("psnr") else 1e-5
            assert result.images[image][name] == pytest.approx(values[name], abs=digit), (image, name)


def test_a_checkpoint_is_judged_as_its_network_runs(tmp_path: Path, photographs: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8, "anchor": True})
    network = spec.build().eval()
    save_checkpoint(tmp_path / "mine.safetensors", spec, network)
    method = open_method(str(tmp_path / "mine.safetensors"), None)
    assert (method.name, method.scale, method.engine) == ("mine", 2, "torch")
    found = evaluate(method, find_pairs(photographs, 2), chosen(2, "psnr_y")).means["psnr_y"]
    assert found == mean_psnr(lambda lr: upscale_rgb8(network, lr), photographs, 2)
    with pytest.raises(ValueError, match="of scale 2, not 3"):
        open_method(str(tmp_path / "mine.safetensors"), 3)
    with pytest.raises(ModelError, match="upres export"):
        open_method(str(tmp_path / "mine.safetensors"), 2, engine="openvino")
    with pytest.raises(ModelError, match="run in f32, not bf16"):
        open_method(str(tmp_path / "mine.safetensors"), 2, precision="bf16")


def test_threads_are_those_of_the_engine_also_for_checkpoints(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8, "anchor": True})
    save_checkpoint(tmp_path / "mine.safetensors", spec, spec.build())
    before = torch.get_num_threads()
    try:
        open_method(str(tmp_path / "mine.safetensors"), 2, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_every_scale_has_bicubic_once_and_names_are_unique(tmp_path: Path, photographs: Path) -> None:
    methods = open_methods(["fast_x4", "fast_x2", "fast_x4"], None)
    assert {scale: [method.name for method in found] for scale, found in methods.items()} == {
        2: ["bicubic", "fast_x2"],
        4: ["bicubic", "fast_x4"],
    }
    assert [method.name for method in open_methods(["fast_x2", "bicubic"], 2)[2]] == ["bicubic", "fast_x2"]
    (tmp_path / "other/photographs").mkdir(parents=True)
    with pytest.raises(ValueError, match="are both called photographs: rename one"):
        open_methods([str(photographs), str(tmp_path / "other/photographs")], 2)


def test_saved_pictures_are_judged_like_the_model_that_made_them(tmp_path: Path, photographs: Path) -> None:
    pairs, measures = find_pairs(photographs, 2), chosen(2, "psnr_y", "ssim_rgb", "rmse")
    first = evaluate(open_method("fast_x2", None), pairs, measures, save=tmp_path)
    again = evaluate(open_method(str(tmp_path / "fast_x2"), 2), pairs, measures)
    assert again.images == first.images
    assert again.model == "fast_x2"
    assert again.engine == ""
    (tmp_path / "fast_x2/1.png").unlink()
    with pytest.raises(ImageError, match="has no picture of 1"):
        evaluate(open_method(str(tmp_path / "fast_x2"), 2), pairs, measures)
    write(tmp_path / "fast_x2/1.png", Picture(np.zeros((8, 6, 3), np.uint8)))
    with pytest.raises(ImageError, match="picture of 1 is 6x8, HR is 230x174"):
        evaluate(open_method(str(tmp_path / "fast_x2"), 2), pairs, measures)
    for pair in pairs:
        assert np.array_equal(read(tmp_path / f"LR/{pair.name}.png").pixels, pair.load()[0])


def test_the_mean_of_the_rmse_is_that_of_the_squares(photographs: Path) -> None:
    result = evaluate(open_method("bicubic", 4), find_pairs(photographs, 4), chosen(4, "rmse", "psnr_rgb"))
    values = [image["rmse"] for image in result.images.values()]
    assert result.means["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(values))))
    assert result.means["rmse"] != pytest.approx(np.mean(values), abs=1e-6)
    assert result.means["psnr_rgb"] == pytest.approx(np.mean([image["psnr_rgb"] for image in result.images.values()]))


def test_an_image_that_a_measure_is_not_defined_for_is_named(tmp_path: Path) -> None:
    write(tmp_path / "small.png", Picture(np.zeros((40, 40, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"small.png: NIQE needs at least two blocks"):
        evaluate(open_method("bicubic", 2), find_pairs(tmp_path, 2), chosen(2, "niqe"))


@pytest.mark.parametrize("offline", [False, True])
def test_lpips_of_a_package_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    """In place of the package, one whose network is AlexNet's first two layers, or cannot be fetched."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 11, 4, 2), torch.nn.MaxPool2d(3, 2))

    class LPIPS(torch.nn.Module):
        def __init__(self, net: str, verbose: bool) -> None:
            super().__init__()
            if offline:
                raise URLError("no route to host")

        def forward(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.mse_loss(layers(sr), layers(hr))

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=LPIPS))
    if offline:
        with pytest.raises(UpresError, match=r"weights of AlexNet, which failed: .*no route"):
            chosen(2, "lpips")
        return
    write(tmp_path / "small.png", Picture(np.zeros((16, 16, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"small.png: AlexNet.* cannot take 16x16"):
        evaluate(open_method("bicubic", 2), find_pairs(tmp_path, 2), chosen(2, "lpips"))


def test_what_has_no_scale_needs_one(photographs: Path) -> None:
    for subject in ("bicubic", str(photographs)):
        with pytest.raises(ValueError, match="give --scale"):
            open_method(subject, None)


def test_mean_psnr_is_that_of_the_default_convention(photographs: Path) -> None:
    pairs = find_pairs(photographs, 3)
    found = mean_psnr(lambda lr: resize(lr, scale=3), photographs, 3)
    assert found == evaluate(open_method("bicubic", 3), pairs, chosen(3, "psnr_y")).means["psnr_y"]
    assert read(pairs[0].hr).rgb8().shape == (176, 240, 3)


def test_the_work_of_a_bundle_is_stated_beside_its_quality(photographs: Path, two_branches: Path) -> None:
    write(photographs / "blank.png", Picture(np.full((60, 60, 3), 127, np.uint8)))
    pairs = find_pairs(photographs, 2)
    result = evaluate(open_method(str(two_branches), 2), pairs, chosen(2, "psnr_y"))
    spent = {name: values["multiply_adds"] for name, values in result.images.items()}
    assert spent["blank"] == 48 + 10**7 < spent["0"]
    assert result.means["multiply_adds"] == pytest.approx(np.mean(list(spent.values())))
    assert "by LR pixel" in result.conventions["multiply_adds"]
    plain = evaluate(open_method("bicubic", 2), pairs, chosen(2, "psnr_y"))
    assert set(plain.means) == set(plain.conventions) == set(plain.images["0"]) == {"psnr_y"}
