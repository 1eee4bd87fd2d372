"""The bundled models: their cards are true and their quality is what the project promises."""

from pathlib import Path

import pytest

from upres.evaluation.quality import mean_psnr
from upres.runtime import Upscaler, bundled, models

SET14 = {2: 32.35, 3: 29.05, 4: 27.55}


@pytest.mark.parametrize("scale", SET14)
def test_set14_reaches_the_bar_and_the_card_says_so(shared: Path, scale: int) -> None:
    name = f"fast_x{scale}"
    reached = mean_psnr(Upscaler(name, scale=scale), shared / "data/Set14", scale)
    assert reached >= SET14[scale]
    (card,) = (card for card in models() if card.name == name)
    assert card.quality["Set14"] == pytest.approx(reached, abs=0.01)


def test_the_cards_are_complete_and_the_files_small() -> None:
    cards = models()
    assert [card.name for card in cards] == ["fast_x2", "fast_x3", "fast_x4"]
    for card, path in zip(cards, bundled().values(), strict=True):
        assert card.data
        assert card.licence == "Apache-2.0"
        assert card.recipe == card.name
        assert card.parameters > 0
        assert card.halo is not None
        assert {"Set5", "Set14", "val"} <= set(card.quality)
        assert path.stat().st_size < 1_000_000


def test_a_4k_result_costs_at_most_1_6_times_the_multiply_adds_of_x3() -> None:
    cost = {card.scale: card.multiply_adds / card.scale**2 for card in models()}
    assert max(cost.values()) <= 1.6 * cost[3]
