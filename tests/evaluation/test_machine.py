import json
from pathlib import Path

import openvino
import pytest

from upres.evaluation.machine import Ceiling, Machine, attainable, available_memory, fraction, measure


def ceiling(kind: str, threads: int, best: float) -> Ceiling:
    return Ceiling(kind, threads, best, 0.9 * best, 0.8 * best, "an example")


MACHINE = Machine(
    "an example",
    2,
    ("avx2", "fma"),
    (ceiling("f32", 1, 50e9), ceiling("memory", 1, 20e9), ceiling("f32", 2, 100e9), ceiling("memory", 2, 25e9)),
)


@pytest.mark.parametrize(
    ("bytes_moved", "threads", "reachable"),
    [
        (0, None, 100e9),
        (1e9, None, 100e9),
        (2e9, None, 100e9),  # the ridge with two threads: four multiply-adds a byte
        (8e9, None, 25e9),
        (8e9, 2, 25e9),
        (2e9, 1, 50e9),
        (8e9, 1, 20e9),
    ],
)
def test_eight_billion_multiply_adds_under_the_roofline(
    bytes_moved: float, threads: int | None, reachable: float
) -> None:
    assert attainable(MACHINE, "f32", 8e9, bytes_moved, threads) == pytest.approx(reachable)
    seconds = 2 * 8e9 / reachable
    assert fraction(MACHINE, "f32", 8e9, bytes_moved, seconds, threads) == pytest.approx(0.5)


def test_what_was_not_measured_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="no ceiling of bf16 was measured with 2 threads on an example"):
        attainable(MACHINE, "bf16", 1e9, 1e9)
    with pytest.raises(ValueError, match="with 3 threads"):
        attainable(MACHINE, "f32", 1e9, 1e9, threads=3)


def test_a_machine_survives_json(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(MACHINE.facts() | {"hpl": None}))
    assert Machine.load(path) == MACHINE
    for content in (b"", b"[]", b"{}", b'{"ceilings": [{"best": 1}]}', b"\x89PNG\xff"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"machine.json: not a machine"):
            Machine.load(path)


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upres.evaluation.machine.CONVOLUTIONS", ((3, 32, 32), (1, 32, 32)))
    machine = measure(threads=[1], seconds=0)
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    kinds = [ceiling.kind for ceiling in machine.ceilings]
    assert kinds == ["f32", *(["bf16"] if "BF16" in capabilities else []), "int8", "memory"]
    assert all(ceiling.best >= ceiling.median >= ceiling.worst > 0 for ceiling in machine.ceilings)
    assert {ceiling.threads for ceiling in machine.ceilings} == {1}
    assert "convolutions" in machine.ceiling("int8", 1).workload
    assert machine.cores >= 1
    assert 2**20 < available_memory() < 2**50


@pytest.mark.parametrize("threads", [[0], [1, 100_000]])
def test_threads_that_there_are_not(threads: list[int]) -> None:
    with pytest.raises(ValueError, match="this process can use 1 to"):
        measure(threads=threads)
