"""HPL, the benchmark of the TOP500: a dense linear system solved in double precision.

Dongarra, Luszczek and Petitet, "The LINPACK benchmark: past, present and future" (Concurrency and Computation 15(9),
2003); counts and checks as the HPL 2.3 program prints them. One process, LU with partial pivoting by LAPACK's dgetrf
and dgetrs, which use all cores.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import MissingExtra
from upres.evaluation.machine import available_memory

__all__ = ["HPL", "THRESHOLD", "flops", "measure", "scaled_residual"]

THRESHOLD = 16.0
"""A scaled residual below it passes."""
MATRICES = 2
"""That are held: the coefficients and their factors."""
MEMORY_SHARE = 0.5
"""Of the available memory, that they take at most by default."""
PILOT_ORDER = 2000

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class HPL:
    """Runs of one order."""

    n: int
    """Equations."""
    seconds: tuple[float, ...]
    """Each run took, factorisation and solution together."""
    residual: float
    """The largest scaled residual of all runs."""

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations per second of the fastest run."""
        return flops(self.n) / min(self.seconds) / 1e9

    @property
    def passed(self) -> bool:
        """Whether HPL would accept the solutions."""
        return self.residual < THRESHOLD

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return dataclasses.asdict(self) | {"gflops": self.gflops, "passed": self.passed}


def measure(n: int | None = None, repeats: int = 3, seconds: float = 2.0) -> HPL:
    """Solve random systems with entries uniform in [-½, ½).

    Args:
        n: equations, or None for as many as take about `seconds`, if half of the available memory holds them.
        repeats: runs, of which the fastest counts.

    Raises:
        MissingExtra: without SciPy.
        ValueError: if the available memory does not hold so many.
    """
    available = available_memory() // MATRICES // 8
    if n is None:
        pilot = min(_solve(PILOT_ORDER, seed)[0] for seed in range(2))
        in_time = PILOT_ORDER * (seconds / pilot) ** (1 / 3)
        n = min(int(in_time), math.isqrt(int(available * MEMORY_SHARE)))
    if n**2 > available:
        raise ValueError(f"the available memory holds an HPL of n = {math.isqrt(available)} at most, not {n}")
    times, residuals = zip(*(_solve(n, seed) for seed in range(repeats)), strict=True)
    return HPL(n, times, float(np.max(residuals)))


def flops(n: int) -> float:
    """The operations that HPL counts, whatever the solver does: 2/3 n³ - 1/2 n² to factorise and 2 n² to solve."""
    return 2 / 3 * n**3 + 3 / 2 * n**2


def scaled_residual(a: Floats, x: Floats, b: Floats) -> float:
    """‖Ax - b‖ / (ε (‖A‖ ‖x‖ + ‖b‖) n) in the infinity norm, ε = 2⁻⁵³ as HPL takes it.

    Args:
        a: (n, n).
        x: (n,), what is to be checked.
        b: (n,).
    """

    def norm(values: Floats) -> float:
        return float(np.linalg.norm(values, np.inf))

    return norm(a @ x - b) / (2.0**-53 * (norm(a) * norm(x) + norm(b)) * len(b))


def _solve(n: int, seed: int) -> tuple[float, float]:
    """Seconds and scaled residual."""
    try:
        from scipy import linalg
    except ImportError:
        raise MissingExtra("SciPy", "lab") from None
    random = np.random.default_rng(seed)
    a = random.uniform(-0.5, 0.5, (n, n)).T  # in the order of Fortran, so that LAPACK works in place
    b = random.uniform(-0.5, 0.5, n)
    factors: Any = a.copy(order="F")
    start = time.perf_counter()
    factors = linalg.lu_factor(factors, overwrite_a=True, check_finite=False)
    x = linalg.lu_solve(factors, b, check_finite=False)
    return time.perf_counter() - start, scaled_residual(a, x, b)
