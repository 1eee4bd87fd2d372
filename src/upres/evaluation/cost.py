"""What networks and models cost: counted on paper, and measured side by side under a stated protocol."""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from upres.compression.export import export, load_weights
from upres.compression.reparameterise import merge
from upres.errors import ModelError, UpresError
from upres.evaluation.machine import MEMORY, Machine, fraction
from upres.evaluation.methods import CHECKPOINTS, name_of
from upres.networks import NETWORKS, Network, NetworkSpec, load
from upres.networks.checkpoint import save_checkpoint
from upres.networks.count import Counts, count
from upres.runtime import Upscaler, bundled, load_model

__all__ = ["ENGINES", "Cost", "Counts", "Protocol", "count", "measure"]

ENGINES = ("torch", "openvino", "onnxruntime")


@dataclass(frozen=True)
class Protocol:
    """How runtime and memory are measured; all of it stands beside the numbers."""

    height: int = 256
    width: int = 256
    """Of the LR image."""
    engine: str | None = None
    """One of `ENGINES`. None: torch for networks and checkpoints, openvino for models."""
    precision: str = "f32"
    """``f32``, ``bf16``, and ``f16`` on a GPU."""
    threads: int | None = None
    """None for all."""
    batch: int = 1
    """LR images at once, with torch."""
    warm_up: int = 2
    repeats: int = 11
    device: str = "cpu"
    """``cpu`` or ``cuda``; torch runs networks on either, engines run models on the CPU."""


@dataclass(frozen=True)
class Cost:
    """The cost measures of the AIM 2020 challenge (arXiv:2009.06943) for one network or model."""

    name: str
    scale: int
    parameters: int
    multiply_adds: int
    """The challenge calls them FLOPs; see `Counts`. For one image."""
    activations: int
    convolutions: int
    runtime_ms: float
    """Median over the repeats, of one run."""
    quartiles_ms: tuple[float, float]
    """A quarter of the runs was no slower than the first, a quarter no faster than the second."""
    memory_mb: float | None
    """MiB that a fresh process takes for network and run, at most; of GPU memory on a GPU. None where that cannot
    be told."""
    roofline: float | None
    """What part of the machine's ceiling the run reaches; None if the ceilings were not given."""
    protocol: Protocol


@dataclass(frozen=True)
class _Subject:
    """Something made ready to run."""

    name: str
    scale: int
    counts: Counts
    bytes_moved: int
    """At least: picture in, picture out, and the weights once."""
    run: Callable[[], float]
    """Runs once, and says how many seconds it took."""


def measure(
    names: Sequence[str],
    protocol: Protocol,
    machine: Machine | None = None,
    progress: Callable[[], None] | None = None,
) -> list[Cost]:
    """Count and time networks and models. The runs of all are interleaved, so that all see the same machine.

    Args:
        names: one or more, of networks (of `NETWORKS`, with fresh weights), bundled models, or the paths of
            checkpoints or ``.onnx`` files.
        protocol: how.
        machine: ceilings, from `upres.evaluation.machine.measure`.
        progress: called after every run of all.

    Raises:
        ModelError: if there is no such network or model, or the engine cannot run it so.
        ValueError: if a checkpoint cannot be read, or the machine's ceilings are not of such a run.
    """
    if protocol.engine not in (None, *ENGINES):
        raise ModelError(f"there is no engine {protocol.engine!r}: choose one of {', '.join(ENGINES)}")
    if machine and protocol.device == "cpu":
        for kind in (protocol.precision, MEMORY):
            machine.ceiling(kind, protocol.threads)
    memory = [_peak_memory(name, protocol) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        subjects = [_open(name, protocol, Path(folder)) for name in names]
        times: list[list[float]] = [[] for _ in subjects]
        for number in range(protocol.warm_up + protocol.repeats):
            for subject, seconds in zip(subjects, times, strict=True):
                taken = subject.run()
                if number >= protocol.warm_up:
                    seconds.append(taken)
            if progress:
                progress()
    return [_cost(*facts, protocol, machine) for facts in zip(subjects, times, memory, strict=True)]


def _cost(
    subject: _Subject, times: list[float], memory: float | None, protocol: Protocol, machine: Machine | None
) -> Cost:
    median = statistics.median(times)
    first, _, third = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    reached = None
    if machine and protocol.device == "cpu":
        work = (subject.counts.multiply_adds * protocol.batch, subject.bytes_moved)
        reached = fraction(machine, protocol.precision, *work, median, protocol.threads)
    return Cost(
        subject.name,
        subject.scale,
        **dataclasses.asdict(subject.counts),
        runtime_ms=median * 1000,
        quartiles_ms=(first * 1000, third * 1000),
        memory_mb=memory,
        roofline=reached,
        protocol=protocol,
    )


def _open(name: str, protocol: Protocol, folder: Path) -> _Subject:
    path = Path(name)
    if name in NETWORKS:
        spec = NetworkSpec(name)
        return _open_network(name, spec, spec.build().eval(), protocol, folder)
    if path.suffix in CHECKPOINTS:
        return _open_network(name_of(path), *load(path), protocol, folder)
    if path.suffix != ".onnx" and name not in bundled():
        known = [*bundled(), *NETWORKS]
        raise ModelError(f"there is no model or network {name!r}: choose one of {', '.join(known)}, or a file")
    if protocol.engine == "torch":
        raise ModelError(f"{name}: torch runs networks and checkpoints; models run by openvino or onnxruntime")
    file = path if path.suffix == ".onnx" else bundled()[name]
    card = load_model(file).card
    # Integers are not read back, but have the shapes of the network that the card names.
    network = NetworkSpec(card.network, card.arguments).build() if card.precision == "int8" else load_weights(name)[1]
    return _open_model(path.stem, file, merge(network), protocol)


def _open_network(name: str, spec: NetworkSpec, network: Network, protocol: Protocol, folder: Path) -> _Subject:
    if protocol.engine in (None, "torch"):
        return _open_torch(name, merge(network), protocol)
    checkpoint, model = folder / f"{name}.safetensors", folder / f"{name}.onnx"
    save_checkpoint(checkpoint, spec, network)
    export(checkpoint, model)
    return _open_model(name, model, merge(network), protocol)


def _open_torch(name: str, network: Network, protocol: Protocol) -> _Subject:
    if protocol.device not in ("cpu", "cuda") or (protocol.device == "cuda" and not torch.cuda.is_available()):
        raise ModelError(f"torch finds no {protocol.device} here; measure on cpu")
    precisions = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
    if protocol.precision not in precisions:
        raise ModelError(f"torch measures {', '.join(precisions)}, not {protocol.precision}")
    dtype = precisions[protocol.precision]
    counts = count(network, protocol.height, protocol.width)
    network = network.to(protocol.device, dtype)
    lr = torch.rand(protocol.batch, 3, protocol.height, protocol.width, device=protocol.device, dtype=dtype)

    def on_cpu() -> float:
        with torch.inference_mode(), _threads(protocol.threads):
            start = time.perf_counter()
            network(lr)
            return time.perf_counter() - start

    def on_gpu() -> float:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        with torch.inference_mode():
            torch.cuda.synchronize()
            start.record()
            network(lr)
            stop.record()
            torch.cuda.synchronize()
        return float(start.elapsed_time(stop)) / 1000

    moved = (lr.numel() * (1 + network.scale**2) + counts.parameters) * lr.element_size()
    return _Subject(name, network.scale, counts, moved, on_gpu if protocol.device == "cuda" else on_cpu)


def _open_model(name: str, file: Path, network: Network, protocol: Protocol) -> _Subject:
    if protocol.device != "cpu" or protocol.batch != 1:
        raise ModelError("models run on the CPU, one image at a time; use --engine torch for others")
    scale = network.scale
    upscaler = Upscaler(
        file,
        scale=scale,
        engine=protocol.engine or "openvino",
        precision=protocol.precision,
        threads=protocol.threads,
    )
    lr = np.random.default_rng(0).integers(0, 256, (protocol.height, protocol.width, 3), np.uint8)

    def run() -> float:
        start = time.perf_counter()
        upscaler(lr)
        return time.perf_counter() - start

    counts = count(network, protocol.height, protocol.width)
    return _Subject(name, scale, counts, lr.size * (1 + scale**2) + 4 * counts.parameters, run)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _peak_memory(name: str, protocol: Protocol) -> float | None:
    """MiB that one run takes in a process of its own, where nothing else was allocated before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_memory_here, (name, protocol))


def _peak_memory_here(name: str, protocol: Protocol) -> float | None:
    try:
        with tempfile.TemporaryDirectory() as folder:
            before = _memory("VmRSS")
            subject = _open(name, protocol, Path(folder))
            if protocol.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
                subject.run()
                return torch.cuda.max_memory_allocated() / 2**20
            if before is None:
                return None
            Path("/proc/self/clear_refs").write_text("5")  # the peak that Linux remembers starts anew
            subject.run()
            peak = _memory("VmHWM")
            return None if peak is None else peak - before
    except (UpresError, ValueError):
        raise
    except Exception as error:  # others need not survive the way to the other process
        raise ModelError(f"{name}: {error}") from None


def _memory(kind: str) -> float | None:
    """MiB of this process, by a name of Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(facts[kind].removesuffix("kB")) / 1024
