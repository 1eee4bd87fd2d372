import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres import Upscaler
from upres.compression.export import load_weights
from upres.networks.base import Rgb8


@pytest.mark.parametrize("model", ["fast_x3", "fine_x2"])
def test_a_network_from_bytes_to_bytes_is_what_the_upscaler_makes(photograph: NDArray[np.uint8], model: str) -> None:
    lr = np.ascontiguousarray(photograph[:95, :131])
    scale = Upscaler.native_scale(model)
    _, network = load_weights(model)
    with torch.inference_mode():
        sr = Rgb8(network)(torch.from_numpy(lr))
    assert sr.dtype == torch.uint8
    assert sr.is_contiguous()
    expected = Upscaler(model, scale=scale, precision="f32")(lr)
    assert sr.shape == expected.shape
    assert np.abs(sr.numpy().astype(int) - expected).max() <= 1
