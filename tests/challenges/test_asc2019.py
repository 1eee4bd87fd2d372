import pytest

from upres.challenges import rank
from upres.challenges.asc2019 import score_pi


def test_the_points_fall_with_the_fourth_power_of_the_perceptual_index() -> None:
    assert score_pi(2.2, rmse=12, pi_min=2.2) == 20
    assert score_pi(2.42, rmse=12, pi_min=2.2) == pytest.approx(20 / 1.1**4)
    assert score_pi(1e300, rmse=12, pi_min=1) == 0


@pytest.mark.parametrize("rmse", [0, 8, 18, 40])
def test_no_points_outside_the_window_of_rmse(rmse: float) -> None:
    assert score_pi(2, rmse=rmse, pi_min=2) == 0


def test_a_perceptual_index_is_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        score_pi(0, rmse=12, pi_min=2)


def test_the_order_is_by_points_of_pictures_and_proposal_together() -> None:
    board = rank(
        "asc2019",
        {
            "best": {"pi": 2, "rmse": 15},
            "written": {"pi": 2.5, "rmse": 10, "proposal": 10},
            "too far": {"pi": 1, "rmse": 18.5, "proposal": 3},
            "the same": {"pi": 2, "rmse": 9},
        },
    )
    assert board.column("model") == ["best", "the same", "written", "too far"]
    assert board.column("rank") == [1, 1, 3, 4]
    assert board.column("score") == pytest.approx([20, 20, 20 / 1.25**4 + 10, 3])  # 1, outside, is not PI_min
    assert "8 < RMSE < 18" in board.rule


def test_when_no_rmse_is_inside_nobody_has_points() -> None:
    assert rank("asc2019", {"a": {"pi": 2, "rmse": 20}}).column("score") == [0]


@pytest.mark.parametrize("proposal", [-1, 10.5])
def test_a_proposal_has_0_to_10_points(proposal: float) -> None:
    with pytest.raises(ValueError, match="a: the proposal has"):
        rank("asc2019", {"a": {"pi": 2, "rmse": 15, "proposal": proposal}})
