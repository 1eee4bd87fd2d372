"""HPCG, the other benchmark of the TOP500: conjugate gradients on a sparse matrix, bounded by memory.

Dongarra, Heroux and Luszczek, "High-performance conjugate-gradient benchmark" (International Journal of High
Performance Computing Applications 30(1), 2016), and the rules and counts of the HPCG 3.1 program:

- The matrix of a 27-point stencil, 26 on the diagonal and -1 beside it, stored in a general sparse format (CSR), on a
  grid in double precision; all ones solve the system.
- The preconditioner is one V-cycle over four grids, each half as fine as the one before. One sweep of symmetric
  Gauss-Seidel smooths before and after the correction and solves on the coarsest; residuals and corrections go from
  grid to grid by injection.
- The reference sweeps in the natural order of the rows, and its residual after 50 iterations is the bar. The timed
  program sweeps in eight colours, which the rules allow; it makes as many iterations as reach the bar, at least 50, and
  is credited with the operations of 50. A tenth of the time to set it up is charged to each set of iterations.

What keeps this from the official list: a run takes seconds instead of half an hour, the grid fills less than a quarter
of the memory, and the sparse products are those of SciPy, which use one core.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import MissingExtra
from upres.evaluation.machine import available_memory

__all__ = ["HPCG", "Grid", "coloured", "conjugate_gradient", "flops", "grids", "measure", "natural", "v_cycle"]

ITERATIONS = 50
LEVELS = 4
SMALLEST = 16
"""Points along a side of the finest grid."""
ASPECT = 8
"""A side is at most so many times as long as another."""
BYTES_PER_POINT = 1600
"""Of the finest grid: what all grids take at the peak."""

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Ordering = Callable[[Integers, Integers, Integers], Integers]
Operator = Callable[[Doubles], Doubles]


@dataclass(frozen=True)
class HPCG:
    """A run with all its checks."""

    shape: tuple[int, int, int]
    equations: int
    nonzeros: tuple[int, ...]
    """Of the matrix of each grid."""
    reference_reduction: float
    """‖r‖ / ‖r₀‖ of the reference after `ITERATIONS`."""
    iterations: int
    """Of each timed set."""
    reductions: tuple[float, ...]
    """‖r‖ / ‖r₀‖ that each timed set reached."""
    error: float
    """Largest distance of the last solution from ones."""
    seconds: float
    """All timed sets together."""
    setup_seconds: float
    plain_iterations: int
    """To 10⁻¹² without preconditioner, with a diagonal of ten values that dwarfs the rest; at most 12 pass."""
    preconditioned_iterations: int
    """The same with it; at most 2 pass."""
    matrix_asymmetry: float
    """|xᵀAy - yᵀAx| / (2 ε ‖x‖ ‖A‖ ‖y‖); at most 1 passes."""
    preconditioner_asymmetry: float
    """The same of the preconditioner in place of A."""

    @property
    def gflops(self) -> float:
        """The rating: 10⁹ operations per second."""
        sets = len(self.reductions)
        credited = sets * flops(self.equations, self.nonzeros, self.iterations) * ITERATIONS / self.iterations
        return credited / (self.seconds + sets * self.setup_seconds / 10) / 1e9

    @property
    def checks(self) -> dict[str, bool]:
        """The conditions of a valid run."""
        bar = self.reference_reduction * (1 + 1e-6)
        return {
            "spectral convergence": self.plain_iterations <= 12 and self.preconditioned_iterations <= 2,
            "symmetry": self.matrix_asymmetry <= 1 and self.preconditioner_asymmetry <= 1,
            "residual": all(reduction <= bar for reduction in self.reductions),
            "reproducibility": statistics.pvariance(self.reductions) < 1e-6,
        }

    @property
    def valid(self) -> bool:
        """Whether all checks passed."""
        return all(self.checks.values())

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return dataclasses.asdict(self) | {"gflops": self.gflops, "checks": self.checks, "valid": self.valid}


@dataclass
class Grid:
    """The matrix of one grid, its rows in sets of rows that do not touch each other."""

    matrix: Any
    """(n, n) CSR."""
    numbers: Integers
    """(n,), the number of each row's point in the natural order: x fastest, then y."""
    firsts: Integers
    """First row of each set."""
    injection: Integers
    """The rows of the points that the next coarser grid has, in the order of its rows; empty on the coarsest."""

    diagonal: Doubles = dataclasses.field(init=False)
    """(n,)."""
    sets: list[tuple[slice, Any]] = dataclasses.field(init=False)
    """The rows of each set, and their part of the matrix."""

    def __post_init__(self) -> None:
        self.diagonal = self.matrix.diagonal()
        ranges = itertools.pairwise([*self.firsts, len(self.numbers)])
        self.sets = [(slice(first, end), self.matrix[first:end]) for first, end in ranges]

    def smooth(self, x: Doubles, r: Doubles) -> None:
        """One sweep of symmetric Gauss-Seidel for A x = r, in place: through all sets and back."""
        for rows, part in itertools.chain(self.sets, reversed(self.sets)):
            x[rows] += (r[rows] - part @ x) / self.diagonal[rows]


def natural(x: Integers, y: Integers, z: Integers) -> Integers:
    """Sets that, swept in turn, give what a sweep row after row gives: earlier neighbours are in earlier sets."""
    return x + 2 * y + 4 * z


def coloured(x: Integers, y: Integers, z: Integers) -> Integers:
    """Eight sets, the least that keep neighbours apart."""
    return natural(x % 2, y % 2, z % 2)


def grids(shape: tuple[int, int, int], ordering: Ordering, levels: int = LEVELS) -> list[Grid]:
    """The grids from fine to coarse.

    Args:
        shape: points along x, y and z of the finest.
        ordering: from coordinates to the set of a point.
        levels: how many grids.

    Raises:
        MissingExtra: without SciPy.
    """
    try:
        from scipy import sparse
    except ImportError:
        raise MissingExtra("SciPy", "lab") from None
    nx, ny, nz = shape
    z, y, x = np.indices((nz, ny, nx)).reshape(3, -1)
    sets = ordering(x, y, z)
    numbers = np.argsort(sets, kind="stable")
    along = [sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)) for n in (nz, ny, nx)]
    matrix = (27 * sparse.eye_array(nx * ny * nz) - functools.reduce(sparse.kron, along)).tocsr()
    coarser = grids((nx // 2, ny // 2, nz // 2), ordering, levels - 1) if levels > 1 else []
    even = np.flatnonzero((x % 2 == 0) & (y % 2 == 0) & (z % 2 == 0))
    injection = np.argsort(numbers)[even[coarser[0].numbers]] if coarser else even[:0]
    firsts = np.flatnonzero(np.diff(sets[numbers], prepend=-1))
    return [Grid(matrix[numbers][:, numbers], numbers, firsts, injection), *coarser]


def v_cycle(levels: Sequence[Grid], r: Doubles) -> Doubles:
    """The preconditioner: approximately A⁻¹ r of the finest of the grids."""
    grid, *coarser = levels
    x = np.zeros_like(r)
    grid.smooth(x, r)
    if coarser:
        residual = (r - grid.matrix @ x)[grid.injection]
        x[grid.injection] += v_cycle(coarser, residual)
        grid.smooth(x, r)
    return x


def conjugate_gradient(
    matrix: Any, precondition: Operator, b: Doubles, iterations: int, tolerance: float = 0.0
) -> tuple[Doubles, int, float]:
    """Solve A x = b from zero.

    Args:
        matrix: (n, n), symmetric and positive definite.
        precondition: (n,) to (n,).
        b: (n,).
        iterations: at most so many.
        tolerance: ends when ‖r‖ / ‖r₀‖ is not above it.

    Returns:
        x, the iterations made, and ‖r‖ / ‖r₀‖.
    """
    x = np.zeros_like(b)
    r = b - matrix @ x
    p = np.zeros_like(b)
    start = norm = np.linalg.norm(r)
    done, rho = 0, 1.0
    while done < iterations and norm > tolerance * start:
        z = precondition(r)
        before, rho = rho, r @ z
        p *= rho / before
        p += z
        q = matrix @ p
        alpha = rho / (p @ q)
        x += alpha * p
        r -= alpha * q
        norm = np.linalg.norm(r)
        done += 1
    return x, done, float(norm / start)


def flops(equations: int, nonzeros: Sequence[int], iterations: int) -> int:
    """The operations that HPCG counts for one set of iterations, the residual before the first included.

    Args:
        equations: of the finest grid.
        nonzeros: of each grid's matrix, from fine to coarse.
    """
    finest, (*finer, coarsest) = nonzeros[0], nonzeros
    products_of_vectors = sums_of_vectors = (3 * iterations + 1) * 2 * equations
    products_by_matrix = (iterations + 1) * 2 * finest
    preconditioner = iterations * ((4 + 2 + 4) * sum(finer) + 4 * coarsest)
    return products_of_vectors + sums_of_vectors + products_by_matrix + preconditioner


def measure(shape: tuple[int, int, int] = (56, 56, 56), seconds: float = 4.0) -> HPCG:
    """Run the benchmark with all its checks.

    Args:
        shape: points along x, y and z.
        seconds: at least so long are timed sets repeated.

    Raises:
        MissingExtra: without SciPy.
        ValueError: if HPCG does not allow the shape, or the available memory does not hold it.
    """
    multiple, sides = 2 ** (LEVELS - 1), "x".join(map(str, shape))
    if min(shape) < SMALLEST or any(side % multiple for side in shape) or max(shape) > ASPECT * min(shape):
        raise ValueError(
            f"the sides of an HPCG grid are multiples of {multiple}, at least {SMALLEST}, "
            f"and at most {ASPECT} times each other: not {sides}"
        )
    if math.prod(shape) * BYTES_PER_POINT > available_memory():
        raise ValueError(f"an HPCG grid of {sides} does not fit into the available memory; choose a smaller one")
    reference = grids(shape, natural)
    ones = np.ones(len(reference[0].numbers))
    *_, bar = _solver(reference, ones)(ITERATIONS)
    del reference

    start = time.perf_counter()
    levels = grids(shape, coloured)
    setup_seconds = time.perf_counter() - start
    solve = _solver(levels, ones)
    start = time.perf_counter()
    _, needed, _ = solve(10 * ITERATIONS, bar)
    sets = int(seconds / (time.perf_counter() - start)) + 1
    iterations = max(needed, ITERATIONS)
    start = time.perf_counter()
    runs = [solve(iterations) for _ in range(sets)]
    took = time.perf_counter() - start

    plain, preconditioned = _spectral_iterations(levels, ones)
    return HPCG(
        shape=shape,
        equations=len(ones),
        nonzeros=tuple(grid.matrix.nnz for grid in levels),
        reference_reduction=bar,
        iterations=iterations,
        reductions=tuple(reduction for *_, reduction in runs),
        error=float(np.abs(runs[-1][0] - ones).max()),
        seconds=took,
        setup_seconds=setup_seconds,
        plain_iterations=plain,
        preconditioned_iterations=preconditioned,
        matrix_asymmetry=_asymmetry(levels[0].matrix.__matmul__, len(ones)),
        preconditioner_asymmetry=_asymmetry(functools.partial(v_cycle, levels), len(ones)),
    )


def _solver(levels: Sequence[Grid], solution: Doubles) -> Callable[..., tuple[Doubles, int, float]]:
    """Conjugate gradients, from the number of iterations on."""
    matrix = levels[0].matrix
    return functools.partial(conjugate_gradient, matrix, functools.partial(v_cycle, levels), matrix @ solution)


def _spectral_iterations(levels: Sequence[Grid], ones: Doubles) -> tuple[int, int]:
    """See `HPCG.plain_iterations` and `HPCG.preconditioned_iterations`."""
    grid, *coarser = levels
    scale = 1e6 * np.where(grid.numbers < 9, grid.numbers + 2, 1)
    matrix = grid.matrix.copy()
    matrix.setdiag(scale * grid.diagonal)
    cycle = functools.partial(v_cycle, [dataclasses.replace(grid, matrix=matrix), *coarser])
    b = scale * (grid.matrix @ ones)
    plain, preconditioned = (conjugate_gradient(matrix, m, b, ITERATIONS, 1e-12)[1] for m in (np.copy, cycle))
    return plain, preconditioned


def _asymmetry(operator: Operator, n: int) -> float:
    """Of a linear operator, by two random vectors; 52 is the norm of the matrix."""
    x, y = np.random.default_rng(0).uniform(1, 2, (2, n))
    difference = abs(x @ operator(y) - y @ operator(x))
    return float(difference / (2 * np.finfo(float).eps * np.linalg.norm(x) * 52 * np.linalg.norm(y)))
