import numpy as np

from upres.search.plain import Plain
from upres.search.policy import Policy

SPACE = Plain()


def test_what_pays_is_proposed_more_often() -> None:
    """Channels of 64 are good, wherever they come from, and nothing else matters."""
    random = np.random.default_rng(0)
    policy = Policy(SPACE, seed=0)
    best = len(SPACE.channels) - 1

    def share() -> float:
        genomes = [SPACE.random(random) for _ in range(200)]
        return float(np.mean([policy.propose(genome)[0] == best for genome in genomes]))

    before = share()
    for _ in range(60):
        changes = []
        for _ in range(12):
            genome = SPACE.random(random)
            after = policy.propose(genome)
            changes.append((genome, after, float(after[0] == best)))
        policy.learn(changes)
    assert before < 0.3
    assert share() > 2 * before
    assert policy.expected is not None
    assert policy.expected > before


def test_a_proposal_changes_one_group_and_depends_on_the_seed_alone() -> None:
    genome = SPACE.random(np.random.default_rng(1))
    first, second = Policy(SPACE, seed=5), Policy(SPACE, seed=5)
    proposals = [first.propose(genome) for _ in range(30)]
    assert proposals == [second.propose(genome) for _ in range(30)]
    assert all(sum(a != b for a, b in zip(genome, proposal, strict=True)) <= 1 for proposal in proposals)
    assert len({*proposals}) > 5
