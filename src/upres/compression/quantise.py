"""Quantisation: networks whose convolutions compute with 8-bit integers, trained as such or only calibrated.

NNCF (Kozlov et al., Neural Network Compression Framework, arXiv:2002.08679) finds which features have to be rounded so
that engines can compute in integers between, and rounds them to levels whose range is learnt beside the weights.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from upres.compression.equalise import equalised
from upres.compression.lattice import of_features, settled
from upres.compression.reparameterise import merge
from upres.compression.rounding import fit_integers
from upres.errors import MissingExtra
from upres.networks import Network

__all__ = ["INNER", "Aligned", "Quantised", "quantise", "quantiser_config", "rebuild", "unquantised"]

INNER = "core.network."
"""Before the names of the network's own tensors in a quantised one."""

ONE_AT_A_TIME = threading.Lock()
"""Held while a quantised network runs: NNCF keeps in the modules which of them is running, of whatever thread."""

LEARNT = ("conv2d", "conv_transpose2d", "linear")
"""What engines compute in integers, by the names of torch's functions."""

HEADROOM = 1.1
"""What calibrated ranges of features are multiplied by: print has sharper edges than the photographs they are of."""

EXACT = ("clamp", "sqrt")
"""What takes features as they are: of a variance little is left in 8 bits, and a root's slope at 0 is infinite."""

SUM = "add"
"""What takes features as they are that nothing else reads: every rounding would be added to all those before."""


class Aligned(nn.Module):
    """A network without its padding and cropping: see `Network.upscale`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W), of sides that are aligned and large enough, to (N, 3, scale·H, scale·W)."""
        return self.network.upscale(lr)


class Quantised(Network):
    """A network that computes in 32-bit floating point, rounding as its exported model does that computes in integers.

    Made by `quantise` or `rebuild`. Gradients pass through all rounding as if it were not there.

    Args:
        core: the network with NNCF's quantisers.
        exact: names of the quantisers of the LR picture itself, whose levels are its bytes.
    """

    def __init__(self, core: Aligned, exact: list[str]) -> None:
        from nncf.torch.quantization.layers import QuantizerExportMode

        network = core.network
        super().__init__(network.scale, network.halo, network.alignment, network.minimum)
        self.core = core
        self.exact = exact
        for name, quantiser in _quantisers(core).items():
            quantiser.set_export_mode(QuantizerExportMode.ONNX_QUANTIZE_DEQUANTIZE_PAIRS)
            for key, value in list(quantiser.named_parameters()):
                if name in exact or not value.is_floating_point():  # which averages of weights could not take
                    delattr(quantiser, key)
                    quantiser.register_buffer(key, value.detach())

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        # bfloat16 rounds as coarsely as the 8 bits that are trained for.
        with ONE_AT_A_TIME, torch.autocast(lr.device.type, enabled=False):
            return self.core(lr if lr.dtype == torch.float32 else lr.float())  # type: ignore[no-any-return]


def quantise(network: Network, patches: Iterable[Tensor]) -> Quantised:
    """Prepare a network for quantisation-aware training; without any, this is quantisation after training.

    Convolutions are merged by `upres.compression.reparameterise`, and the channels that skips add to evened out by
    `upres.compression.equalise`. Weights become integers of 8 bits, with a scale for each output channel, as
    `upres.compression.rounding` chooses them; what convolutions read becomes integers of 8 bits, with a scale and an
    offset each. What a residual block adds to its features is not rounded before, but only with the sum. Nor is what
    comes before the first and after the last learnt convolution, or a convolution whose kernel is not learnt: the sum
    with the upscaled input is exact. After training for it, weights may be such that their products overflow on
    processors without VNNI or the like: see `upres.runtime.saturation`.

    Args:
        network: stays as it is.
        patches: batches (N, 3, H, W) of LR in [0, 1], of sides that are not below the network's minimum; they tell
            the ranges of features to begin with.

    Returns:
        What is to be trained, in the network's mode.

    Raises:
        ValueError: if there are no patches, or the network is quantised already, has no learnt convolution or runs what
            depends on the picture, as ClassSR.
        MissingExtra: if NNCF is not installed.
    """
    if isinstance(network, Quantised):
        raise ValueError("the network is quantised already")
    batches = [_cropped(batch, network.alignment) for batch in patches]
    if not batches:
        raise ValueError("quantisation needs patches, to find the ranges of features")
    nncf = _nncf()
    core = Aligned(merge(network))
    graph = nncf.torch.wrap_model(copy.deepcopy(core), batches[0], trace_parameters=True).get_graph()
    inside = _inside(graph, {name for name, _ in core.named_parameters()})
    if not inside:
        raise ValueError("the network has no learnt convolution, so there is nothing to quantise")
    if any(node.node_type == "__bool__" for node in graph.get_all_nodes()):
        raise ValueError("what the network runs depends on the picture, so it cannot be quantised as a whole")
    even = Aligned(equalised(core.network, batches))
    operations = [node for node in graph.get_all_nodes() if not node.node_type.startswith("nncf_")]
    others = sorted(node.node_name for node in operations if node.node_name not in inside or node.node_type in EXACT)
    advanced, ranges = nncf.quantization.advanced_parameters, nncf.quantization.range_estimator
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        calibrated = nncf.quantize(
            copy.deepcopy(even),
            nncf.Dataset(batches),
            subset_size=len(batches),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=others),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.DISABLE,  # fit_integers' own leaves no bit of the weights' 8 unused
                activations_quantization_params=advanced.QuantizationParameters(per_channel=False),
                activations_range_estimator_params=ranges.RangeEstimatorParametersSet.HISTOGRAM,
            ),
        )
    config, added = nncf.torch.get_config(calibrated), _added(graph)
    hooks = [hook for hook in config.pop("compression_state") if not added.issuperset(hook["hook_names_in_model"])]
    exact = sorted(_of_pictures(graph) & _quantisers(calibrated).keys())
    quantised = rebuild(network, json.dumps(config | {"compression_state": hooks, "exact": exact}))
    kept = quantised.core.state_dict().keys()
    quantised.core.load_state_dict({key: value for key, value in calibrated.state_dict().items() if key in kept})
    quantisers = _quantisers(quantised.core.eval())
    of_all = list(quantisers.values())
    with torch.no_grad():
        for quantiser in filter(of_features, of_all):
            quantiser.input_low.mul_(HEADROOM)
            quantiser.input_range.mul_(HEADROOM)
        even = Aligned(settled(even.network, quantised.core, of_all, batches))
        quantised.core.network.load_state_dict(even.network.state_dict())
        for name in exact:
            quantisers[name].input_low.fill_(0)
            quantisers[name].input_range.fill_(1)
    fit_integers(quantised.core, even, of_all, batches)
    return quantised.train(network.training)


def quantiser_config(quantised: Quantised) -> str:
    """What `rebuild` needs beside the network, as JSON."""
    return json.dumps(_nncf().torch.get_config(quantised.core) | {"exact": quantised.exact})


def unquantised(network: Network) -> Network:
    """The network itself, without what rounds in it; any other one is given back."""
    return network.core.network if isinstance(network, Quantised) else network


def rebuild(network: Network, config: str) -> Quantised:
    """Prepare a network as another one was, all but the values, which stay to be loaded.

    Args:
        network: of the same structure; stays as it is.
        config: of `quantiser_config`.

    Raises:
        ValueError: if the text is no such thing.
        MissingExtra: if NNCF is not installed.
    """
    nncf = _nncf()
    try:
        parts = json.loads(config)
        core = nncf.torch.load_from_config(Aligned(merge(network)), parts)
        return Quantised(core, parts["exact"]).train(network.training)
    except (KeyError, RuntimeError, TypeError, ValueError, nncf.InternalError) as error:
        raise ValueError(f"not what quantised a network ({error})") from None


def _nncf() -> Any:
    """NNCF, which neither reports to its makers nor compiles C++ at its first use."""
    os.environ.setdefault("NNCF_CI", "1")  # before the import
    try:
        import nncf.torch
        from nncf.torch.quantization import extensions, reference
    except ImportError:
        raise MissingExtra("NNCF", "lab") from None
    plain = SimpleNamespace(
        Quantize_forward=reference.torch_executor.forward, Quantize_backward=reference.torch_executor.backward
    )
    for functions in (extensions.QuantizedFunctionsCPU, extensions.QuantizedFunctionsCUDA):
        functions._loaded_namespace = plain
    nncf.set_log_level(logging.WARNING)
    return nncf


def _quantisers(core: nn.Module) -> dict[str, Any]:
    """By the names of the places that they are at."""
    from nncf.torch.quantization.layers import BaseQuantizer

    hooks: Any = core.get_submodule("__nncf_hooks")
    return {name: module for name, module in hooks.named_hooks() if isinstance(module, BaseQuantizer)}


def _inside(graph: Any, learnt: set[str]) -> set[str]:
    """The names of the operations that learnt convolutions are before as well as after, and of these themselves."""
    convolutions = [
        node
        for node in graph.get_all_nodes()
        if node.node_type in LEARNT and any(source.node_name in learnt for source in graph.get_previous_nodes(node))
    ]
    return _reached(convolutions, graph.get_next_nodes) & _reached(convolutions, graph.get_previous_nodes)


def _reached(starts: list[Any], step: Callable[[Any], list[Any]]) -> set[str]:
    reached: set[str] = set()
    while starts:
        nodes = {node.node_name: node for node in starts if node.node_name not in reached}
        reached |= nodes.keys()
        starts = [neighbour for node in nodes.values() for neighbour in step(node)]
    return reached


def _of_pictures(graph: Any) -> set[str]:
    """The names of the places where the LR picture itself may be rounded."""
    (picture,) = graph.get_input_nodes()
    readers = [node.node_name.replace(".", ":") for node in graph.get_next_nodes(picture)]
    return {f"post_hooks.{picture.node_name}__0.0", *(f"pre_hooks.{name}__0.0" for name in readers)}


def _added(graph: Any) -> set[str]:
    """The names of the places where features may be rounded that only sums read."""
    return {
        f"post_hooks.{node.node_name}__0.0"
        for node in graph.get_all_nodes()
        if {reader.node_type for reader in graph.get_next_nodes(node)} == {SUM}
    }


def _cropped(lr: Tensor, alignment: int) -> Tensor:
    height, width = (side // alignment * alignment for side in lr.shape[-2:])
    return lr[..., :height, :width]
