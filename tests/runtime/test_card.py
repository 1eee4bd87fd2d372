import pytest

from upres.errors import ModelError
from upres.runtime import Card
from upres.runtime.card import Routing


def test_a_card_survives_its_text_and_facts_of_later_versions() -> None:
    card = Card("mine_x2", 2, 7, alignment=2, quality={"Set5": 36.5})
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json('{"name": "a", "scale": 2, "halo": null, "colour": "blue"}') == Card("a", 2, None)


def test_a_card_survives_its_text_with_its_routing() -> None:
    branches = [Card("small_x2", 2, 7, alignment=2), Card("large_x2", 2, 14, quality={"Set5": 37.0})]
    card = Card("both_x2", 2, 14, routing=Routing(24, 4, 0.5, [(1.5, 3.0)], branches, 48, [0.25, 1.0]))
    assert Card.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"name": "a"}', '{"name": "a", "scale": 2, "halo": 1, "routing": {}}'),
        *('{"name": "a", "scale": 0, "halo": 1}', '{"name": "a", "scale": "2", "halo": 1}'),
        *('{"name": "a", "scale": 2, "halo": -1}', '{"name": "a", "scale": 2, "halo": 1, "alignment": null}'),
        '{"name": "a", "scale": 2, "halo": 1, "value_range": 0}',
    ],
)
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="card"):
        Card.from_json(text)
