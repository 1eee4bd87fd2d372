"""What a 4K result costs on a GPU: `fast` x3, 1280x720 to 3840x2160, fp16, from bytes to bytes in the GPU's memory.

    python benchmarks/gpu.py [--frames 200] [--json FILE]

PyTorch on CUDA, channels last: the whole graph recorded as a CUDA graph, and compiled by torch.compile. Beside it stand
the floors that this GPU sets, by its own measured rates: the picture in and the picture out at the speed of a copy, and
the multiply-adds at the speed of a large fp16 product; and the 1.17 ms that the paper of Bicubic++ reports on an RTX
3090. Without a GPU it says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from json import dumps
from pathlib import Path
from statistics import median

import torch
from pictures import photograph
from torch import Tensor

from upres.compression.export import load_weights
from upres.evaluation.results import write_text
from upres.networks.base import Rgb8
from upres.runtime.model import bundled, load_model

MODEL, HEIGHT, WIDTH = "fast_x3", 720, 1280
PAPER_MS = 1.17  # arXiv:2305.02126, RTX 3090
COPY = 2**30  # bytes
ORDER = 8192  # of the matrices


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median milliseconds by CUDA's own clock, after ten runs that are not counted."""
    times = []
    for number in range(repeats + 10):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        stop.record()
        torch.cuda.synchronize()
        if number >= 10:
            times.append(start.elapsed_time(stop))
    return median(times)


def recorded(work: Callable[[Tensor], Tensor], lr: Tensor) -> Callable[[], object]:
    """The work as one CUDA graph, warmed up on a stream of its own as PyTorch asks."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work(lr)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work(lr)
    return graph.replay


def floors(multiply_adds: float, moved: float) -> dict[str, float]:
    """Rates of this GPU, and the milliseconds below which they let nothing go."""
    source = torch.empty(COPY, dtype=torch.uint8, device="cuda")
    copy = timed(partial(torch.empty_like(source).copy_, source), 20)
    a, b = (torch.randn(ORDER, ORDER, device="cuda", dtype=torch.float16) for _ in range(2))
    product = timed(partial(torch.matmul, a, b), 20)
    bandwidth, rate = 2 * COPY / copy * 1000, ORDER**3 / product * 1000
    return {
        "copy_gb_per_s": bandwidth / 1e9,
        "f16_multiply_adds_t_per_s": rate / 1e12,
        "memory_floor_ms": moved / bandwidth * 1000,
        "arithmetic_floor_ms": multiply_adds / rate * 1000,
    }


@torch.inference_mode()
def main(frames: int, json: Path | None) -> None:
    if not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no GPU here: nothing was measured")
        sys.exit(2)
    torch.backends.cudnn.benchmark = True
    _, network = load_weights(MODEL)
    picture = Rgb8(network.to("cuda", torch.float16, memory_format=torch.channels_last))
    pixels = photograph(HEIGHT, WIDTH)
    lr = torch.from_numpy(pixels).cuda()
    found = {"recorded_ms": timed(recorded(picture, lr), frames)}
    try:
        compiled = torch.compile(picture, mode="max-autotune-no-cudagraphs", dynamic=False)
        found["compiled_ms"] = timed(recorded(compiled, lr), frames)
    except Exception as error:  # whatever the compiler lacks: a C compiler, Triton
        print(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[0]}")
    multiply_adds = load_model(bundled()[MODEL]).card.multiply_adds * HEIGHT * WIDTH
    found |= floors(multiply_adds, lr.numel() + picture(lr).numel())
    print(f"{torch.cuda.get_device_name()}, {MODEL}, {WIDTH}x{HEIGHT}, fp16, medians of {frames} frames")
    for name, value in (found | {"paper_rtx_3090_ms": PAPER_MS}).items():
        print(f"{name:28}{value:10.3f}")
    if json:
        write_text(json, dumps({"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, **found}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--json", type=Path)
    main(**vars(parser.parse_args()))
