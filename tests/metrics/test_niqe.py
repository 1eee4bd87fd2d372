import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.errors import ModelError
from upres.images import read, resize
from upres.metrics import NiqeModel, fit_niqe, niqe
from upres.metrics.niqe import fit_aggd, niqe_features


@pytest.fixture(scope="module")
def published(shared: Path) -> NiqeModel:
    return NiqeModel.load(shared / "reference/niqe/niqe_pris_params.npz")


@pytest.fixture(scope="module")
def golden(shared: Path) -> Any:
    return json.loads((shared / "reference/golden/niqe.json").read_text())


def test_baboon_has_the_documented_value(shared: Path, published: NiqeModel, golden: Any) -> None:
    baboon = read(shared / "reference/niqe/images/baboon.png").rgb8()
    assert niqe(baboon, model=published) == pytest.approx(golden["values"]["baboon"]["niqe"], abs=1e-4)


@pytest.mark.parametrize("name", ["I03", "I04", "I06", "I08", "I19"])
def test_distorted_images_have_the_golden_values(shared: Path, published: NiqeModel, golden: Any, name: str) -> None:
    values = golden["official_matlab_values"]["images"][name]
    image = read(shared / f"reference/niqe/images/{name}.png").rgb8()
    assert niqe(image, model=published) == pytest.approx(values["niqe_basicsr_crop0"], rel=0.001)
    assert niqe(image, shave=4, model=published) == pytest.approx(values["niqe_basicsr_crop4"], rel=0.001)
    official = niqe(image, grey="rgb2gray", model=published)
    assert official == pytest.approx(values["niqe_official_matlab"], rel=0.01)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_set5_has_the_golden_values(shared: Path, published: NiqeModel, golden: Any, number: int) -> None:
    values = golden["values"][f"Set5/img_{number:03}"]
    hr = read(shared / f"data/Set5/image_SRF_4/img_{number:03}_SRF_4_HR.png").rgb8()
    assert niqe(hr, model=published) == pytest.approx(values["hr_crop0"], rel=1e-3)
    assert niqe(hr, shave=4, model=published) == pytest.approx(values["hr_crop4"], rel=1e-3)


def test_a_block_has_the_golden_shape_and_features(shared: Path) -> None:
    check = np.load(shared / "reference/niqe/features_check.npz")
    shape, left, right = fit_aggd(check["block"][None])
    np.testing.assert_allclose([shape[0], left[0], right[0]], check["aggd"], rtol=1e-4)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
def test_the_fit_finds_shape_and_both_scales_of_samples(shape: float) -> None:
    rng = np.random.default_rng(0)
    size = np.array([400, 500])
    # |x| of a generalised Gaussian is a gamma variable to the power 1/shape; the side is drawn in ratio of the scales.
    right = rng.random(size) < 3 / (2 + 3)
    samples = rng.gamma(1 / shape, size=size) ** (1 / shape) * np.where(right, 3, -2)
    found = [value[0] for value in fit_aggd(samples[None])]
    np.testing.assert_allclose(found, [shape, 2, 3], rtol=0.03)


def test_blur_and_noise_are_worse_than_the_photograph(photograph: NDArray[np.uint8]) -> None:
    sharp = niqe(photograph)
    blurred = resize(resize(photograph, scale=0.25), photograph.shape[:2])
    noise = np.random.default_rng(0).normal(0, 25, photograph.shape)
    noisy = (photograph + noise).clip(0, 255).astype(np.uint8)
    assert niqe(blurred) > sharp
    assert niqe(noisy) > sharp


def test_a_model_fitted_to_photographs_prefers_them(tmp_path: Path, shared: Path) -> None:
    photographs = [read(path).rgb8() for path in sorted((shared / "data/val").glob("*.webp"))[:10]]
    fit_niqe(photographs[:9]).save(tmp_path / "model.npz")
    model = NiqeModel.load(tmp_path / "model.npz")
    assert model.mean.shape == (36,)
    np.testing.assert_allclose(model.covariance, model.covariance.T)
    blurred = resize(resize(photographs[9], scale=0.5), photographs[9].shape[:2])
    assert niqe(blurred, model=model) > niqe(photographs[9], model=model)


def test_grey_images_count_as_rgb_of_equal_parts(photograph: NDArray[np.uint8]) -> None:
    grey = photograph[..., 1]
    value = niqe(grey)
    assert value == niqe(grey[..., None]) == pytest.approx(niqe(np.repeat(grey[..., None], 3, axis=2)))


def test_flat_areas_are_left_to_chance_nowhere() -> None:
    """Half of the image is one colour: whatever the colour, its normalised values are zero, not rounding errors."""
    textured = np.random.default_rng(0).integers(0, 256, (192, 192), np.uint8)
    for level in (37, 200):
        textured[:96, 96:] = level
        features = niqe_features(textured.astype(np.float64))
        assert np.isfinite(features[[0, 2, 3]]).all()
    assert niqe(textured) > 0


def test_images_that_have_no_niqe_are_named() -> None:
    with pytest.raises(ValueError, match="at least two blocks of 96x96 pixels; 100x190 is too small"):
        niqe(np.zeros((190, 100), np.uint8))
    with pytest.raises(ValueError, match="without texture"):
        niqe(np.full((192, 192, 3), 128, np.uint8))
    with pytest.raises(ValueError, match="'luma' or 'rgb2gray'"):
        niqe(np.zeros((192, 192), np.uint8), grey="hsv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than 36 sharp blocks"):
        fit_niqe([])


def test_images_of_another_kind_are_refused() -> None:
    images: list[NDArray[Any]] = [np.zeros((192, 192, 4), np.uint8), np.zeros((192, 192), np.uint16)]
    for image in (*images, np.zeros((192, 192, 3))):
        with pytest.raises(ValueError, match=r"without alpha|of 8 bits \(uint8\)"):
            niqe(image)
    with pytest.raises(ValueError, match="0 or more, not -4"):
        niqe(np.zeros((192, 192), np.uint8), shave=-4)


def test_a_model_is_kept_under_the_name_that_was_given(tmp_path: Path) -> None:
    NiqeModel.own().save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    np.testing.assert_array_equal(NiqeModel.load(tmp_path / "model").covariance, NiqeModel.own().covariance)


@pytest.mark.parametrize("content", [b"hello", b"", b"PK\x03\x04 cut short", b"\x93NUMPY"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"model.npz: not a model of NIQE"):
        NiqeModel.load(tmp_path / "model.npz")


def test_a_file_of_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    np.savez(tmp_path / "hollow.npz", mean=np.full(36, np.nan), covariance=np.eye(36))
    for name in ("other", "hollow"):
        with pytest.raises(ModelError, match="not a model of NIQE"):
            NiqeModel.load(tmp_path / f"{name}.npz")
