import sys

import numpy as np
import pytest

from upres.errors import MissingExtra
from upres.evaluation import hpl
from upres.evaluation.hpl import HPL, THRESHOLD, flops, measure, scaled_residual


@pytest.mark.parametrize(
    ("n", "seconds", "gflops"),
    [(100_000, 680.50, 979.690), (102_144, 514.92, 1.380e3)],  # printed by HPL 2.1 and 2.3
)
def test_operations_count_as_in_printed_results(n: int, seconds: float, gflops: float) -> None:
    assert HPL(n, (seconds + 1, seconds), 0.0).gflops == pytest.approx(gflops, rel=3e-4)


def test_operations_of_three_equations() -> None:
    assert flops(3) == pytest.approx(18 + 13.5)


def test_the_scaled_residual_by_hand() -> None:
    a = np.array([[2.0, -1.0], [0.0, 1.0]])  # ‖A‖ = 3
    x, b = np.array([1.0, 2.0]), np.array([0.0, 1.0])  # ‖Ax - b‖ = 1, ‖x‖ = 2, ‖b‖ = 1
    assert scaled_residual(a, x, b) == pytest.approx(2.0**53 / ((3 * 2 + 1) * 2))


def test_a_solution_in_single_precision_fails() -> None:
    random = np.random.default_rng(0)
    a, b = random.uniform(-0.5, 0.5, (200, 200)), random.uniform(-0.5, 0.5, 200)
    x = np.linalg.solve(a, b)
    assert HPL(200, (1.0,), scaled_residual(a, x, b)).passed
    assert not HPL(200, (1.0,), scaled_residual(a, x.astype(np.float32), b)).passed
    assert not HPL(200, (1.0,), THRESHOLD).passed
    assert not HPL(200, (1.0,), float("nan")).passed


def test_a_run_of_chosen_order() -> None:
    pytest.importorskip("scipy")
    result = measure(n=150, repeats=2)
    assert (result.n, len(result.seconds)) == (150, 2)
    assert 0 < result.residual < THRESHOLD
    assert result.passed
    assert result.facts()["gflops"] == result.gflops > 0


def test_the_order_fits_into_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr(hpl, "available_memory", lambda: 2 * 2 * 300**2 * 8)  # twice two matrices of doubles
    assert measure(repeats=1).n == 300
    with pytest.raises(ValueError, match="n = 424 at most"):
        measure(n=425)


def test_it_says_when_scipy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtra, match=r"SciPy.*upres\[lab\]"):
        measure(n=10)
