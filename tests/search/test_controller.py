from collections.abc import Callable

import numpy as np
import pytest

from upres.search.controller import Controller, Options, Proposal, crossed, mutated
from upres.search.genome import Elastic, Genome
from upres.search.plain import Plain

SPACE = Elastic()


def controller(seed: int = 0, allowed: Callable[[Genome], bool] = lambda _: True, **options: object) -> Controller:
    return Controller(SPACE, Options(**options), seed, 2, 1, allowed)  # type: ignore[arg-type]


def value(genome: Genome) -> tuple[float, float]:
    """Two objectives that a genome's numbers decide: small ones are good for one, large ones for the other."""
    return float(sum(genome[:35])), float(-sum(genome[::2]))


def told(of: Controller, generations: int, count: int = 8) -> list[Proposal]:
    everything: list[Proposal] = []
    for _ in range(generations):
        proposals = of.ask(count)
        numbers = list(range(len(everything) + 1, len(everything) + len(proposals) + 1))
        objectives = np.array([value(proposal.genome) for proposal in proposals])
        of.tell(numbers, proposals, objectives, np.zeros((len(proposals), 1)))
        everything += proposals
    return everything


def test_told_the_same_it_asks_the_same() -> None:
    first, second = told(controller(3), 5), told(controller(3), 5)
    assert first == second
    assert told(controller(4), 1) != first[:8]


def test_no_network_is_asked_for_twice_and_parents_are_earlier() -> None:
    proposals = told(controller(), 6)
    assert len({SPACE.canonical(proposal.genome) for proposal in proposals}) == len(proposals) == 48
    for number, proposal in enumerate(proposals, 1):
        assert all(parent <= (number - 1) // 8 * 8 for parent in proposal.parents)
        assert bool(proposal.parents) == (proposal.origin != "random") == (proposal.before is not None)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_roulette_wheel_has_the_share_that_is_asked_for(share: float) -> None:
    offspring = told(controller(reinforced=share), 13)[8:]
    reinforced = [proposal.origin == "reinforced" for proposal in offspring]
    assert np.mean(reinforced) == pytest.approx(share, abs=0.15)
    assert {proposal.origin for proposal in offspring} <= {"natural", "reinforced"}


def test_what_is_not_allowed_is_not_asked_for() -> None:
    assert all(proposal.genome[0] == 1 for proposal in told(controller(allowed=lambda genome: genome[0] == 1), 4))


def test_seeds_come_first_and_random_search_has_no_parents() -> None:
    seed = SPACE.random(np.random.default_rng(9))
    with_seed = Controller(SPACE, Options(), 0, 2, 1, lambda _: True, [seed, seed])
    first = with_seed.ask(8)
    assert [proposal.origin for proposal in first] == ["seed"] + ["random"] * 7
    assert first[0].genome == seed
    assert {proposal.origin for proposal in told(controller(method="random"), 5)} == {"random"}


def test_a_small_space_is_exhausted_without_repetition() -> None:
    space = Plain(
        channels=[16, 32], blocks=[1, 2], convolutions=[2], downscales=["stride"], slopes=[0.1], layers=["plain"]
    )
    small = Controller(space, Options(population=4), 0, 2, 1, lambda _: True)
    seen: list[Genome] = []
    while proposals := small.ask(4):
        objectives = np.array([[float(sum(proposal.genome)), -float(sum(proposal.genome))] for proposal in proposals])
        small.tell(list(range(len(proposals))), proposals, objectives, np.zeros((len(proposals), 1)))
        seen += [proposal.genome for proposal in proposals]
        assert len(seen) <= 8
    assert len({*seen}) == len(seen) == 8


def test_crossover_exchanges_whole_cells_and_whole_rows_of_connections() -> None:
    random = np.random.default_rng(0)
    zeros: Genome = (0,) * len(SPACE.genes)
    ones: Genome = (1,) * len(SPACE.genes)
    children = [crossed(SPACE, zeros, ones, random) for _ in range(50)]
    for child in children:
        for places in SPACE.groups.values():
            assert len({child[place] for place in places}) == 1
    assert any(child[0] != child[34] for child in children), "within the micro level"
    assert any(child[35] != child[-1] for child in children), "within the macro level"


def test_natural_mutation_changes_one_group() -> None:
    random = np.random.default_rng(0)
    genome = SPACE.random(random)
    changed = set()
    for _ in range(200):
        other = mutated(SPACE, genome, random)
        groups = {gene.group for gene, a, b in zip(SPACE.genes, genome, other, strict=True) if a != b}
        assert len(groups) <= 1
        changed |= groups
    assert changed == set(SPACE.groups)


def test_the_search_gets_better() -> None:
    def best(proposals: list[Proposal]) -> float:
        return min(sum(value(proposal.genome)) for proposal in proposals)

    for seed in range(2):
        assert best(told(controller(seed), 15)) < best(told(controller(seed, method="random"), 15))


def test_rewards_are_shares_of_what_is_beaten() -> None:
    proposals = controller().ask(3)
    rewards = controller().tell(
        [1, 2, 3], proposals, np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]), np.array([[0.0], [0.0], [1.0]])
    )
    assert rewards == pytest.approx([2 / 3, 0, -2 / 3])
