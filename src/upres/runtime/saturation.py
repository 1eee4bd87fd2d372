"""Whether products of bytes overflow on processors that add pairs of them up in 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PAIR", "added_in_pairs", "largest_sum", "saturates"]

PAIR = 128
"""What two weights of one sign that are added in pairs may come to: 255 times this is less than 2^15."""


def added_in_pairs(inputs: int, places: int) -> NDArray[np.int64]:
    """Which weights of a convolution's output engines multiply and add in 16 bits, as the instruction VPMADDUBSW does.

    OpenVINO takes inputs 0 and 1, 2 and 3, ... of the same place of the kernel, ONNX Runtime what follows each other
    place by place, which is another thing where inputs are odd in number; these are the pairs of both.

    Args:
        inputs: channels.
        places: of the kernel.

    Returns:
        (N, 2), of weights numbered as in (inputs, places).
    """
    numbers = np.arange(inputs * places).reshape(inputs, places)
    in_place = numbers[: inputs // 2 * 2].reshape(-1, 2, places).swapaxes(1, 2).reshape(-1, 2)
    in_turn = numbers.T.ravel()[: numbers.size // 2 * 2].reshape(-1, 2)
    pairs: NDArray[np.int64] = np.unique(np.sort(np.concatenate([in_place, in_turn]), axis=1), axis=0)
    return pairs


def largest_sum(weights: NDArray[Any], pairs: NDArray[np.int64]) -> NDArray[Any]:
    """What two weights of one sign in a pair come to at most, without the sign, for each output.

    Args:
        weights: (outputs, weights of an output), signed.
        pairs: (N, 2), of weights of an output; for none, it is 0.
    """
    by_pair = weights[:, pairs]
    sums = np.maximum(by_pair.clip(min=0).sum(2), -by_pair.clip(max=0).sum(2))
    largest: NDArray[Any] = sums.max(axis=1, initial=0)
    return largest


def saturates(model: bytes) -> bool:
    """Whether a quantised network's sums may overflow on a processor without VNNI or the like.

    Args:
        model: an ONNX file with integers of 8 bits as weights.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(model).graph
    weights = {
        item.name: numpy_helper.to_array(item).astype(np.int16)
        for item in graph.initializer
        if item.data_type == onnx.TensorProto.INT8 and len(item.dims) > 1
    }
    plain = {  # convolutions by what comes out of the node before
        node.input[1]
        for node in graph.node
        if node.op_type == "Conv" and all(item.i == 1 for item in node.attribute if item.name == "group")
    }
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            kernel = weights[node.input[0]]
            if node.output[0] not in plain:  # in whatever pairs
                if 2 * np.abs(kernel).max(initial=0) > PAIR:
                    return True
                continue
            pairs = added_in_pairs(kernel.shape[1], kernel[0, 0].size)
            if largest_sum(kernel.reshape(len(kernel), -1), pairs).max() > PAIR:
                return True
    return False
