import itertools

import pytest

from upres.challenges import Board, rank


def board(**values: tuple[float, float]) -> Board:
    """Of names and their PI and RMSE."""
    return rank("pirm2018", {name: {"pi": pi, "rmse": rmse} for name, (pi, rmse) in values.items()})


def test_each_region_has_its_own_ranks() -> None:
    made = board(
        a=(2.9, 11.5), b=(2.5, 11.51), c=(2.7, 11.2), d=(2.0, 15.3), e=(2.1, 12.6), f=(1.9, 16.01), g=(2.4, 12.5)
    )
    assert made.column("model") == ["c", "a", "g", "b", "d", "e", "f"]
    assert made.column("region") == [1, 1, 2, 2, 3, 3, None]
    assert made.column("rank") == [1, 2, 1, 2, 1, 2, None]


def test_within_a_hundredth_the_lower_rmse_decides() -> None:
    assert board(a=(2.013, 15.26), b=(2.019, 14.24), c=(1.978, 15.30)).column("model") == ["c", "b", "a"]
    assert board(a=(2.00, 15), b=(2.02, 13)).column("model") == ["a", "b"]


@pytest.mark.parametrize("pi", [2.023, 0.3, 4.11, 7.77])
def test_a_hundredth_is_a_tie_whatever_binary_makes_of_it(pi: float) -> None:
    assert board(a=(pi, 15), b=(pi + 0.01, 14)).column("model") == ["b", "a"]
    assert board(a=(pi, 15), b=(pi + 0.0101, 14)).column("model") == ["a", "b"]


def test_ties_do_not_chain() -> None:
    made = board(first=(2.000, 15.0), second=(2.009, 14.0), third=(2.018, 13.0))
    assert made.column("model") == ["second", "first", "third"]


def test_the_order_does_not_depend_on_how_the_entries_come() -> None:
    entries = {"a": (2.0, 14.0), "b": (2.005, 14.0), "c": (2.005, 14.0), "d": (2.012, 13.0), "e": (2.02, 12.6)}
    orders = {tuple(board(**dict(shuffled)).column("model")) for shuffled in itertools.permutations(entries.items())}
    assert orders == {("a", "b", "c", "e", "d")}
