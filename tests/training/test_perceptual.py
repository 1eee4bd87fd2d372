import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from upres.errors import UpresError
from upres.evaluation.fetch import PARAMETERS, File
from upres.images import Picture, resize, write
from upres.training.losses import Batch, make_loss
from upres.training.losses.perceptual import gram
from upres.training.losses.vgg import VGG, layer_names, vgg


def torchvisions(path: Path) -> Path:
    """The first three convolutions, named as torchvision does, with a layer of the classifier."""
    torch.manual_seed(0)
    state = {}
    for place, inputs, outputs in ((0, 3, 64), (2, 64, 64), (5, 64, 128)):
        state[f"features.{place}.weight"] = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
        state[f"features.{place}.bias"] = torch.randn(outputs) / 10
    state["classifier.0.weight"] = torch.zeros(2, 2)
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    return path


def batch_of(sr: torch.Tensor, hr: torch.Tensor) -> Batch:
    return Batch(hr, sr, hr)


@pytest.mark.parametrize(
    ("architecture", "convolutions", "parameters"), [("vgg16", 13, 14_714_688), ("vgg19", 16, 20_024_384)]
)
def test_the_convolutions_are_the_papers(architecture: Any, convolutions: int, parameters: int) -> None:
    network = VGG(architecture, "pool5")
    assert sum("conv" in name for name in network.layers) == convolutions
    assert sum(weight.numel() for weight in network.layers.parameters()) == parameters
    assert list(network.layers) == layer_names(architecture)


def test_features_are_the_reference_codes(shared: Path) -> None:
    golden = np.load(shared / "reference" / "io" / "vgg19_normalised.npz")
    network = vgg("vgg19", "relu3_1", str(shared / "reference" / "weights" / "vgg19_normalised_to_conv3_1.safetensors"))
    features = network(torch.from_numpy(golden["input"]))
    for name in ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"):
        expected = golden[name]
        np.testing.assert_allclose(features[name][:, : expected.shape[1]], expected, atol=2e-4, rtol=1e-5)
    assert features["conv3_1"].min() < 0  # before the ReLU


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_files_are_read_and_see_normalised_pictures(tmp_path: Path, suffix: str) -> None:
    network = vgg("vgg16", "conv2_1", str(torchvisions(tmp_path / f"vgg{suffix}")))
    image = torch.rand(1, 3, 8, 8)
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    first = network.layers["conv1_1"]
    expected = first((image - mean[:, None, None]) / deviation[:, None, None])
    torch.testing.assert_close(network(image)["conv1_1"], expected, rtol=1e-4, atol=1e-5)
    assert network(image)["conv2_1"].shape == (1, 128, 4, 4)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_what_is_wrong_with_weights_is_said(tmp_path: Path) -> None:
    path = torchvisions(tmp_path / "vgg.pth")
    with pytest.raises(ValueError, match="holds 3 convolutions, but vgg19 up to relu2_2 has 4"):
        vgg("vgg19", "relu2_2", str(path))
    with pytest.raises(ValueError, match="there is no such file"):
        vgg("vgg19", "relu2_2", str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("[network]")
    with pytest.raises(ValueError, match=r"text\.pth: cannot be read"):
        vgg("vgg19", "relu2_2", str(tmp_path / "text.pth"))
    save_file({"0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match=r"is not of vgg16: it has no conv1_1\.bias"):
        vgg("vgg16", "relu1_1", str(tmp_path / "bare.safetensors"))
    save_file({"0.weight": torch.zeros(5, 3, 3, 3), "0.bias": torch.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is not of vgg16"):
        vgg("vgg16", "relu1_1", str(tmp_path / "other.safetensors"))
    with pytest.raises(ValueError, match="vgg16 has no layer conv5_4; it has conv1_1, relu1_1"):
        make_loss("perceptual", {"vgg": "vgg16", "layers": ["conv5_4"]})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    torchvisions(folder / "vgg16.pth")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/vgg16.pth"
        served.shutdown()


def test_weights_are_fetched_once_and_checked(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checksum = "sha256:" + hashlib.sha256((tmp_path / "served" / "vgg16.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(PARAMETERS, "vgg16", File(server, "sha256:" + "0" * 64))
    with pytest.raises(UpresError, match="its checksum is not sha256:0000"):
        vgg("vgg16", "relu1_1")
    monkeypatch.setitem(PARAMETERS, "vgg16", File(server, checksum))
    assert vgg("vgg16", "relu1_1")(torch.rand(1, 3, 4, 4))["relu1_1"].shape == (1, 64, 4, 4)
    (tmp_path / "served" / "vgg16.pth").unlink()
    vgg("vgg16", "relu1_2")  # from the first download


def test_published_checksums_are_those_in_the_files_names() -> None:
    for name in ("vgg16", "vgg19"):
        file = PARAMETERS[name]
        assert (file.checksum or "").startswith("sha256:" + file.url.rpartition("-")[2].removesuffix(".pth"))


@pytest.mark.parametrize("name", ["perceptual", "style"])
def test_losses_on_features_are_0_for_equal_images_only(tmp_path: Path, name: str) -> None:
    weights = str(torchvisions(tmp_path / "vgg.pth"))
    loss = make_loss(name, {"vgg": "vgg16", "layers": ["relu1_2", "conv2_1"], "weights": weights})
    loss.prepare(torch.nn.Identity(), 16)
    hr, sr = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16, requires_grad=True)
    assert float(loss(batch_of(hr, hr))) == 0
    value = loss(batch_of(sr, hr))
    assert value > 0
    assert torch.autograd.grad(value, sr)[0].abs().sum() > 0


@pytest.mark.parametrize(("distance", "power"), [("l1", 1), ("l2", 2)])
def test_perceptual_is_the_mean_over_a_layers_features(tmp_path: Path, distance: str, power: int) -> None:
    weights = str(torchvisions(tmp_path / "vgg.pth"))
    loss = make_loss("perceptual", {"vgg": "vgg16", "layers": ["conv2_1"], "weights": weights, "distance": distance})
    loss.prepare(torch.nn.Identity(), 16)
    sr, hr = torch.rand(2, 1, 3, 16, 16)
    network = vgg("vgg16", "conv2_1", weights)
    expected = (network(sr)["conv2_1"] - network(hr)["conv2_1"]).abs().pow(power).mean()
    torch.testing.assert_close(loss(batch_of(sr, hr)), expected)


def test_gram_matrices_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]])  # two channels, 1x2
    assert torch.equal(gram(features), torch.tensor([[[5.0, 6.0], [6.0, 9.0]]]) / (2 * 1 * 2))


def test_style_does_not_see_where_things_are(tmp_path: Path) -> None:
    flat = torch.rand(1, 3, 1, 1).expand(1, 3, 16, 16)
    features = torch.rand(1, 4, 6, 6)
    torch.testing.assert_close(gram(features), gram(features.flip(3)))
    picture = tmp_path / "style.png"
    write(picture, Picture((flat[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)))
    weights = str(torchvisions(tmp_path / "vgg.pth"))
    options = {"vgg": "vgg16", "layers": ["conv1_1"], "weights": weights, "picture": str(picture)}
    loss = make_loss("style", options | {"side": 16})
    loss.prepare(torch.nn.Identity(), 16)
    as_painted = (flat * 255).round() / 255
    assert float(loss(batch_of(as_painted, torch.zeros_like(flat)))) == pytest.approx(0, abs=1e-9)
    assert float(loss(batch_of(1 - as_painted, as_painted))) > 1e-3


def test_a_picture_of_style_is_seen_at_the_size_that_is_asked_for(
    tmp_path: Path, photograph: NDArray[np.uint8]
) -> None:
    write(tmp_path / "large.png", Picture(photograph))  # 176 x 240
    write(tmp_path / "small.png", Picture(resize(photograph, scale=44 / 176)))
    weights = str(torchvisions(tmp_path / "vgg.pth"))

    def grams(name: str, side: int) -> list[Tensor]:
        options = {"vgg": "vgg16", "layers": ["conv1_1"], "weights": weights, "picture": str(tmp_path / name)}
        loss = make_loss("style", options | {"side": side})
        loss.prepare(torch.nn.Identity(), 16)
        return loss.grams  # type: ignore[return-value]

    torch.testing.assert_close(grams("large.png", 44), grams("small.png", 44))
    assert not torch.allclose(grams("large.png", 44)[0], grams("large.png", 176)[0])


def test_patches_must_leave_a_feature() -> None:
    with pytest.raises(ValueError, match="conv5_4 needs HR patches of 16 pixels or more, not 12"):
        make_loss("perceptual", {}).prepare(torch.nn.Identity(), 12)
