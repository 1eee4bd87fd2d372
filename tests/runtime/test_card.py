import pytest

from upres.errors import ModelError
from upres.runtime import Card


def test_a_card_survives_its_text_and_facts_of_later_versions() -> None:
    card = Card("mine_x2", 2, 7, alignment=2, quality={"Set5": 36.5})
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json('{"name": "a", "scale": 2, "halo": null, "colour": "blue"}') == Card("a", 2, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a"}'])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="card"):
        Card.from_json(text)
