import re

import pytest

from upres.compression.reparameterise import merge
from upres.networks import NETWORKS
from upres.networks.facts import facts


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_paper_and_a_cost(name: str) -> None:
    known = facts(name)
    assert re.search(r"[A-Z]\w+ .*\d{4}", known.paper)
    assert known.counts.parameters > 0
    assert known.counts.multiply_adds > known.counts.activations > 0
    assert known.scale in known.scales


def test_scales_are_those_that_a_network_can_be_built_for() -> None:
    assert facts("carn").scales == (2, 3, 4)
    assert facts("falsr_b").scales == (2,)
    assert facts("fsrcnn_classsr").scales == (3, 4, 8)
    assert facts("rfdn").scales == (2, 3, 4, 8)


def test_costs_are_of_the_network_as_it_runs() -> None:
    assert facts("fimdn", merge).counts.parameters == 687_056 < facts("fimdn").counts.parameters
