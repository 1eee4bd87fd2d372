import numpy as np
import pytest

from upres.search.front import beats, best, hypervolume


def test_a_front_is_what_none_beats() -> None:
    points = [(1.0, 5.0), (2.0, 4.0), (2.0, 5.0), (3.0, 1.0), (3.0, 1.0)]
    assert best([(np.array(point), 0.0) for point in points]) == [0, 1, 3, 4]


def test_what_violates_constraints_is_beaten_by_what_violates_them_less() -> None:
    good, bad, worse = (np.array([9.0, 9.0]), 0.0), (np.array([1.0, 1.0]), 0.5), (np.array([0.0, 0.0]), 0.7)
    assert beats(good, bad)
    assert beats(bad, worse)
    assert not beats(worse, bad)
    assert best([bad, good, worse]) == [1]
    assert best([bad, worse]) == []


def test_hypervolume_of_two_boxes() -> None:
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0])) == pytest.approx(3)
    assert hypervolume(np.array([[4.0, 0.0]]), np.array([3.0, 3.0])) == 0
    assert hypervolume(np.empty((0, 2)), np.array([3.0, 3.0])) == 0
