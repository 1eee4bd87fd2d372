import dataclasses
import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.errors import MissingExtra
from upres.evaluation.hpcg import HPCG, coloured, conjugate_gradient, flops, grids, measure, natural, v_cycle

SHAPE = (4, 6, 2)

# Printed by HPCG 3.1 for one process: 16x16x16, and five sets of 104x104x104.
SMALL = (97_336, 10_648, 1_000, 64)
LARGE = tuple((3 * side - 2) ** 3 for side in (104, 52, 26, 13))

PUBLISHED = HPCG(
    shape=(16, 16, 16),
    equations=4096,
    nonzeros=SMALL,
    reference_reduction=3.66234e-41,
    iterations=50,
    reductions=(3.66234e-41,) * 1195,
    error=0.0,
    seconds=56.3567,
    setup_seconds=0.0205922,
    plain_iterations=11,
    preconditioned_iterations=1,
    matrix_asymmetry=0.0,
    preconditioner_asymmetry=0.0,
)


def stencil(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """The matrix as the benchmark describes it, point by point, x fastest."""
    points = [(x, y, z) for z, y, x in itertools.product(*(range(side) for side in reversed(shape)))]
    matrix = np.zeros((len(points), len(points)))
    for (row, p), (column, q) in itertools.product(enumerate(points), repeat=2):
        if max(abs(a - b) for a, b in zip(p, q, strict=True)) <= 1:
            matrix[row, column] = 26 if row == column else -1
    return matrix


def test_operations_count_as_in_printed_results() -> None:
    assert flops(16**3, SMALL, 50) == pytest.approx(6.69071e7, rel=1e-5)
    assert 5 * flops(104**3, LARGE, 50) == pytest.approx(1.03347e11, rel=1e-5)


def test_the_rating_is_the_printed_one() -> None:
    assert PUBLISHED.gflops == pytest.approx(1.35936, rel=1e-5)
    assert PUBLISHED.valid


def test_more_iterations_earn_no_more_operations() -> None:
    slower = dataclasses.replace(PUBLISHED, iterations=60, seconds=56.3567 * 60 / 50)
    assert slower.gflops == pytest.approx(PUBLISHED.gflops * 50 / 60, rel=0.01)


@pytest.mark.parametrize(
    "facts",
    [
        {"plain_iterations": 13},
        {"preconditioned_iterations": 3},
        {"matrix_asymmetry": 1.1},
        {"preconditioner_asymmetry": 1.1},
        {"preconditioner_asymmetry": math.nan},
        {"reductions": (3.6624e-41,)},
        {"reductions": (0.0, math.nan)},
        {"reductions": (0.0, 0.01), "reference_reduction": 0.01},
    ],
)
def test_a_run_that_breaks_a_rule_is_invalid(facts: dict[str, Any]) -> None:
    assert not dataclasses.replace(PUBLISHED, **facts).valid


@pytest.fixture(params=[natural, coloured])
def ordering(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip("scipy")
    return request.param


def test_the_matrix_is_the_27_point_stencil(ordering: Any) -> None:
    (grid,) = grids(SHAPE, ordering, levels=1)
    assert np.array_equal(grid.matrix.toarray(), stencil(SHAPE)[np.ix_(grid.numbers, grid.numbers)])
    assert np.array_equal(np.sort(grid.numbers), np.arange(math.prod(SHAPE)))


def test_rows_of_a_set_do_not_touch(ordering: Any) -> None:
    (grid,) = grids(SHAPE, ordering, levels=1)
    for rows, _ in grid.sets:
        block = grid.matrix[rows, rows]
        assert block.nnz == rows.stop - rows.start


def test_smoothing_is_gauss_seidel_row_by_row(ordering: Any) -> None:
    (grid,) = grids(SHAPE, ordering, levels=1)
    matrix = stencil(SHAPE)
    x, r = np.random.default_rng(0).uniform(-1, 1, (2, len(matrix)))
    ours = x[grid.numbers]
    grid.smooth(ours, r[grid.numbers])
    order = np.arange(len(matrix)) if ordering is natural else grid.numbers
    for row in [*order, *reversed(order)]:
        x[row] += (r[row] - matrix[row] @ x) / matrix[row, row]
    assert np.allclose(ours, x[grid.numbers], rtol=1e-13, atol=1e-13)


def test_injection_takes_the_even_points(ordering: Any) -> None:
    fine, coarse = grids(SHAPE, ordering, levels=2)
    position = np.indices(SHAPE[::-1]).reshape(3, -1)[:, fine.numbers[fine.injection]]
    assert np.array_equal(position, 2 * np.indices((1, 3, 2)).reshape(3, -1)[:, coarse.numbers])
    assert len(coarse.injection) == 0


def test_the_preconditioner_is_symmetric_and_positive_definite(ordering: Any) -> None:
    levels = grids((8, 8, 4), ordering, levels=3)
    inverse = np.stack([v_cycle(levels, unit) for unit in np.eye(256)])
    assert np.allclose(inverse, inverse.T, atol=1e-14)
    assert np.linalg.eigvalsh(inverse).min() > 0


def test_a_solution_of_ones_is_found(ordering: Any) -> None:
    levels = grids((16, 8, 8), ordering)
    b = levels[0].matrix @ np.ones(1024)
    x, iterations, reduction = conjugate_gradient(levels[0].matrix, lambda r: v_cycle(levels, r), b, 50, 1e-12)
    assert np.allclose(x, 1, atol=1e-11)
    assert reduction <= 1e-12
    assert iterations < conjugate_gradient(levels[0].matrix, np.copy, b, 50, 1e-12)[1]


def test_conjugate_gradients_need_one_iteration_an_eigenvalue() -> None:
    matrix = np.diag([1.0, 1.0, 2.0, 2.0, 5.0])
    x, iterations, _ = conjugate_gradient(matrix, np.copy, np.arange(1.0, 6.0), 50, 1e-12)
    assert iterations == 3
    assert np.allclose(x, [1, 2, 1.5, 2, 1])


def test_a_run_is_valid_and_like_the_printed_one() -> None:
    pytest.importorskip("scipy")
    result = measure((16, 16, 16), seconds=0)
    assert result.valid
    assert result.nonzeros == SMALL
    assert (result.plain_iterations, result.preconditioned_iterations) == (11, 1)
    # Far below the precision of the numbers, rounding decides: two printed runs reached 3.7e-41 and 1.7e-41.
    # So far below what the starting point's rounding is, processors differ by more than a power of ten.
    assert abs(math.log10(result.reference_reduction / PUBLISHED.reference_reduction)) < 3
    assert result.iterations >= 50
    assert result.error < 1e-13
    assert result.facts()["gflops"] > 0


@pytest.mark.parametrize("shape", [(16, 16, 20), (8, 16, 16), (16, 16, 136)])
def test_shapes_that_hpcg_does_not_allow(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="the sides of an HPCG grid"):
        measure(shape)


def test_a_grid_beyond_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="8000x8000x8000 does not fit"):
        measure((8000, 8000, 8000))


def test_it_says_when_scipy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtra, match=r"SciPy.*upres\[lab\]"):
        measure((16, 16, 16))
