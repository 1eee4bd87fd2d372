"""What this machine can do at most, measured, and the roofline that it sets.

A computation is bounded by its arithmetic or by its memory traffic, whichever takes longer (Williams, Waterman and
Patterson, "Roofline: an insightful visual performance model", Communications of the ACM 52(4), 2009). Both ceilings
are what programs reached here, not what a data sheet says. As STREAM and LINPACK do, the best of repeated runs counts.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["MEMORY", "PRECISIONS", "Ceiling", "Machine", "attainable", "available_memory", "fraction", "measure"]

PRECISIONS = ("f32", "bf16", "int8")
MEMORY = "memory"

CONVOLUTIONS = ((1, 512, 64), (3, 128, 64), (3, 64, 128))
"""Kernel side, channels and picture side of networks that are nothing but convolutions."""
LAYERS = 4
KERNELS = {"f32": "f32", "bf16": "bf16", "int8": "I8"}
"""How the names of OpenVINO's kernels end that compute in a precision."""
ORDER = 2048
"""Of the matrices that BLAS multiplies."""
CHUNK = 32768
"""Elements of a triad that stay in the second-level cache between its multiplication and its addition."""

INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Those that decide how fast networks are, by the names of Linux."""

Workload = tuple[str, float, Callable[[], object]]
"""What is run, the multiply-adds or bytes of a run, and the run."""


@dataclass(frozen=True)
class Ceiling:
    """The highest rate of several workloads, each run repeatedly."""

    kind: str
    """One of `PRECISIONS`, for multiply-adds per second, or `MEMORY`, for bytes per second."""
    threads: int
    best: float
    median: float
    worst: float
    """The spread over the runs of the same workload."""
    workload: str
    """The one that reached it."""


@dataclass(frozen=True)
class Machine:
    """A processor and its ceilings."""

    processor: str
    cores: int
    """That this process may use."""
    instruction_sets: tuple[str, ...]
    """Those of `INSTRUCTION_SETS` that Linux reports; empty on other systems."""
    ceilings: tuple[Ceiling, ...]

    def ceiling(self, kind: str, threads: int | None = None) -> Ceiling:
        """The ceiling of a precision or of the memory, with so many threads, or with all cores.

        Raises:
            ValueError: if it was not measured, as for a precision that the processor lacks.
        """
        threads = threads or self.cores
        for ceiling in self.ceilings:
            if (ceiling.kind, ceiling.threads) == (kind, threads):
                return ceiling
        known = ", ".join(f"{ceiling.kind} with {ceiling.threads}" for ceiling in self.ceilings)
        raise ValueError(f"no ceiling of {kind} was measured with {threads} threads on {self.processor}; only {known}")

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, path: Path) -> Machine:
        """Read what ``upres machine --json`` wrote.

        Raises:
            OSError: if the file cannot be opened.
            ValueError: if it holds no machine.
        """
        try:
            facts = json.loads(path.read_bytes())
            ceilings = tuple(Ceiling(**ceiling) for ceiling in facts["ceilings"])
            return cls(facts["processor"], facts["cores"], tuple(facts["instruction_sets"]), ceilings)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{path}: not a machine; measure it with `upres machine --json`") from None


def attainable(
    machine: Machine, precision: str, multiply_adds: float, bytes_moved: float, threads: int | None = None
) -> float:
    """The roofline: multiply-adds per second that a computation cannot exceed.

    Args:
        precision: one of `PRECISIONS`.
        multiply_adds: of the whole computation, above 0.
        bytes_moved: between processor and memory, of the whole computation.
        threads: as measured, or None for all cores.

    Raises:
        ValueError: if the precision was not measured with so many threads.
    """
    arithmetic = multiply_adds / machine.ceiling(precision, threads).best
    traffic = bytes_moved / machine.ceiling(MEMORY, threads).best
    return multiply_adds / max(arithmetic, traffic)


def fraction(
    machine: Machine,
    precision: str,
    multiply_adds: float,
    bytes_moved: float,
    seconds: float,
    threads: int | None = None,
) -> float:
    """What part of the roofline a computation reached that took so many seconds; the rest as for `attainable`."""
    return multiply_adds / seconds / attainable(machine, precision, multiply_adds, bytes_moved, threads)


def measure(threads: Sequence[int] | None = None, seconds: float = 1.0) -> Machine:
    """Measure this machine, which should do nothing else meanwhile.

    Args:
        threads: numbers of threads to measure with, or None for one and all cores.
        seconds: at least so long is each workload repeated.

    Raises:
        ValueError: for more threads than there are cores, or less than one.
    """
    import openvino

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted(set(threads or (1, cores)))
    if counts[0] < 1 or counts[-1] > cores:
        raise ValueError(f"this process can use 1 to {cores} threads, not {counts}")
    ceilings = []
    for count in counts:
        for kind in (*PRECISIONS, MEMORY):
            workloads = _stream(count) if kind == MEMORY else _arithmetic(kind, count, cores)
            rates = [_repeat(workload, kind, count, seconds) for workload in workloads]
            if rates:
                ceilings.append(max(rates, key=lambda ceiling: ceiling.best))
    processor = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    return Machine(processor, cores, _instruction_sets(), tuple(ceilings))


def available_memory() -> int:
    """Bytes that a program may take now without swapping; elsewhere than on Linux, half of all memory or 4 GiB."""
    try:
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(facts["MemAvailable"].removesuffix("kB")) * 1024
    except (OSError, KeyError):
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**33
        return pages // 2


def _repeat(workload: Workload, kind: str, threads: int, seconds: float) -> Ceiling:
    """Run it at least five times, not counting the first."""
    name, amount, run = workload
    run()
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return Ceiling(kind, threads, amount / min(times), amount / statistics.median(times), amount / max(times), name)


def _arithmetic(precision: str, threads: int, cores: int) -> Iterator[Workload]:
    """Large products through BLAS, whose threads NumPy cannot limit, and through the engine that runs the networks."""
    random = np.random.default_rng(0)
    if precision == "f32" and threads == cores:
        a, b = random.random((2, ORDER, ORDER), np.float32)
        yield f"{ORDER}x{ORDER} matrices, BLAS", ORDER**3, functools.partial(np.matmul, a, b)
    for kernel, channels, side in CONVOLUTIONS:
        compiled = _compiled(_network(kernel, channels, side, precision == "int8"), precision, threads, cores)
        if compiled is not None:
            pixels = random.integers(0, 256, (1, channels, side, side), np.uint8)
            values = pixels if precision == "int8" else pixels.astype(np.float32) / 255
            infer = compiled.create_infer_request().infer
            run = functools.partial(infer, [values], share_inputs=True, share_outputs=True)
            name = f"{kernel}x{kernel} convolutions of {channels} channels, {side}x{side} pixels, OpenVINO"
            yield name, LAYERS * channels**2 * kernel**2 * side**2, run


def _network(kernel: int, channels: int, side: int, int8: bool) -> bytes:
    """ONNX of convolutions in sequence, in f32, or quantised to int8 with bytes as input and output."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = (channels, channels, kernel, kernel)
    constants: dict[str, Any] = {}
    nodes = []
    if int8:
        constants = {"scale": np.float32(1 / 16), "zero": np.uint8(128), "weight_scale": np.float32(1 / 128)}
    for layer in range(LAYERS):
        x, y, pads = f"{layer}", f"{layer + 1}", [kernel // 2] * 4
        if int8:
            constants[f"{x}.int8"] = random.integers(-127, 128, weights, np.int8)
            nodes += [
                helper.make_node("DequantizeLinear", [x, "scale", "zero"], [f"{x}.values"]),
                helper.make_node("DequantizeLinear", [f"{x}.int8", "weight_scale"], [f"{x}.weight"]),
                helper.make_node("Conv", [f"{x}.values", f"{x}.weight"], [f"{x}.sums"], pads=pads),
                helper.make_node("QuantizeLinear", [f"{x}.sums", "scale", "zero"], [y]),
            ]
        else:
            scale = np.float32(1 / math.sqrt(channels * kernel**2))
            constants[f"{x}.weight"] = random.standard_normal(weights, np.float32) * scale
            nodes.append(helper.make_node("Conv", [x, f"{x}.weight"], [y], pads=pads))
    element = TensorProto.UINT8 if int8 else TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(f"{end}", element, [1, channels, side, side]) for end in (0, LAYERS)]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _compiled(graph: bytes, precision: str, threads: int, cores: int) -> Any | None:
    """The network made ready by OpenVINO, or None where it would convolve in another precision than the one asked."""
    import openvino

    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    options["INFERENCE_PRECISION_HINT"] = "bf16" if precision == "bf16" else "f32"
    if threads < cores:
        options["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", options)
    facts = [layer.get_rt_info() for layer in compiled.get_runtime_model().get_ops()]
    kernels = [fact["primitiveType"].astype(str) for fact in facts if fact["layerType"].astype(str) == "Convolution"]
    as_asked = [kernel.endswith(f"_{KERNELS[precision]}") for kernel in kernels]
    return compiled if as_asked and all(as_asked) else None


def _stream(threads: int) -> Iterator[Workload]:
    """STREAM's copy and triad (McCalpin 1995): bytes as the formulas name them, arrays four times the caches."""
    length = min(max(4 * _last_level_caches(), 2**26), available_memory() // 8) // 8
    parts = [slice(*ends) for ends in pairwise(length * part // threads for part in range(threads + 1))]
    a, b, c = (np.empty(length) for _ in range(3))

    def fill(part: slice) -> None:
        for array in (a, b, c):  # the thread that writes memory first decides which processor it is near
            array[part] = 1.0

    def copy(part: slice) -> None:
        np.copyto(c[part], a[part])

    def triad(part: slice) -> None:
        for start in range(part.start, part.stop, CHUNK):
            chunk = slice(start, min(start + CHUNK, part.stop))
            np.multiply(c[chunk], 3.0, out=a[chunk])
            np.add(a[chunk], b[chunk], out=a[chunk])

    def in_parallel(kernel: Callable[[slice], None]) -> Callable[[], object]:
        return lambda: list(pool.map(kernel, parts))

    with ThreadPoolExecutor(threads) as pool:
        in_parallel(fill)()
        for kernel, arrays in ((copy, 2), (triad, 3)):
            name = f"{kernel.__name__} of {length * 8 / 2**20:.0f} MiB arrays, STREAM"
            yield name, arrays * 8 * length, in_parallel(kernel)


def _last_level_caches() -> int:
    """Bytes of all caches of the highest level together, as far as Linux tells."""
    sizes: dict[tuple[int, str], int] = {}
    for cache in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level, shared, size = ((cache / name).read_text().strip() for name in ("level", "shared_cpu_list", "size"))
        sizes[int(level), shared] = int(size.removesuffix("K")) * 1024
    highest = max((level for level, _ in sizes), default=0)
    return sum(size for (level, _), size in sizes.items() if level == highest)


def _instruction_sets() -> tuple[str, ...]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line.split(":")[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return tuple(name for name in INSTRUCTION_SETS if name in flags)
