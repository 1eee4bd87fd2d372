"""FALSR's hybrid controller (Chu et al., arXiv:1901.07261): NSGA-II with natural and reinforced mutation.

NSGA-II (Deb et al. 2002) is pymoo's. What is asked and told is all that it depends on: told the same again, with the
same seed, a new controller goes on as the old one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.evaluator import Evaluator
from pymoo.core.infill import InfillCriterion
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.problems.static import StaticProblem

from upres.search.front import beats
from upres.search.genome import Genome, Space
from upres.search.policy import Policy
from upres.training.checked import Count, Factor

__all__ = ["Controller", "Options", "Proposal", "crossed", "mutated"]

DRAWS = 1000  # how often a network is drawn until one is new and allowed


@dataclass(frozen=True, kw_only=True)
class Options:
    """How new networks are proposed."""

    method: Literal["nsga2", "random"] = "nsga2"
    """``random`` draws every network independently: what a controller has to beat."""
    population: Count = 8
    """How many are proposed at once, and how many of the best are parents of the next."""
    crossover: Factor = 0.9
    """The share of offspring that have two parents."""
    reinforced: Factor = 0.5
    """The share of the roulette wheel that mutation by the policy has; the rest is natural, random mutation."""


@dataclass(frozen=True)
class Proposal:
    """A genome that is to be evaluated, and where it comes from."""

    genome: Genome
    origin: str
    """``seed``, ``random``, or the mutation that made it: ``natural`` or ``reinforced``."""
    parents: tuple[int, ...] = ()
    """Numbers of candidates."""
    before: Genome | None = None
    """What the mutation changed: a parent, or what the crossover made."""


class Controller:
    """Proposes genomes, and is told how good they are.

    Args:
        space: of the genomes.
        options: how.
        seed: of all that is drawn.
        objectives: how many there are.
        constraints: likewise.
        allowed: whether a genome is worth evaluating at all.
        seeds: genomes that the first population begins with.
    """

    def __init__(
        self,
        space: Space,
        options: Options,
        seed: int,
        objectives: int,
        constraints: int,
        allowed: Callable[[Genome], bool],
        seeds: Sequence[Genome] = (),
    ) -> None:
        self.space, self.options, self.allowed, self.seeds = space, options, allowed, list(seeds)
        self.random = np.random.default_rng(seed)
        self.policy = Policy(space, seed)
        self.seen: set[Genome] = set()
        self.told: list[tuple[NDArray[np.float64], float]] = []
        self.problem = Problem(n_var=len(space.genes), n_obj=objectives, n_ieq_constr=constraints)
        self.algorithm: Any = NSGA2(options.population, mating=_Mating(self._child), termination=NoTermination())
        self.algorithm.setup(self.problem, seed=seed)

    def ask(self, count: int) -> list[Proposal]:
        """The next genomes, none of which builds a network that was proposed before.

        Args:
            count: at most so many; fewer where the space has no more.
        """
        if self.options.method == "random" or not self.algorithm.is_initialized:
            proposals = [self._new(Proposal(genome, "seed")) for genome in self.seeds if self._is_new(genome)][:count]
            self.seeds = []
            while len(proposals) < count:
                drawn = self._drawn(lambda: Proposal(self.space.random(self.random), "random"))
                if drawn is None:
                    break
                proposals.append(drawn)
            return proposals
        self.algorithm.n_offsprings = count
        offspring = self.algorithm.infill()
        return [] if offspring is None else list(offspring.get("proposal"))

    def tell(
        self,
        numbers: Sequence[int],
        proposals: Sequence[Proposal],
        objectives: NDArray[np.float64],
        violations: NDArray[np.float64],
    ) -> list[float]:
        """How good the networks of the latest proposals are.

        Args:
            numbers: of the candidates.
            proposals: which may be others than those that were asked.
            objectives: (candidates, objectives); less is better.
            violations: (candidates, constraints); above 0 where one is not met.

        Returns:
            The reward of each, from -1 to 1: the share of all candidates so far that it beats, less that which beats
            it. One that violates constraints less is better than one that does so more, whatever their objectives.
        """
        self.seen |= {self.space.canonical(proposal.genome) for proposal in proposals}
        values = list(zip(objectives, violations.clip(min=0).sum(axis=1), strict=True))
        self.told += values
        rewards = [
            float(np.mean([int(beats(value, other)) - int(beats(other, value)) for other in self.told]))
            for value in values
        ]
        self.policy.learn(
            [
                (proposal.before, proposal.genome, reward)
                for proposal, reward in zip(proposals, rewards, strict=True)
                if proposal.origin == "reinforced" and proposal.before is not None
            ]
        )
        if self.options.method == "nsga2":
            genomes = np.array([proposal.genome for proposal in proposals])
            population = Population.new("X", genomes, "number", list(numbers))
            static = StaticProblem(self.problem, F=objectives, G=violations)
            Evaluator().eval(static, population)
            self.algorithm.tell(infills=population)
        return rewards

    def _child(self, first: Any, second: Any) -> Proposal | None:
        """An offspring of two individuals that is new and allowed."""

        def draw() -> Proposal:
            parents, genome = [first], tuple(first.X.tolist())
            if self.random.random() < self.options.crossover:
                parents.append(second)
                genome = crossed(self.space, genome, tuple(second.X.tolist()), self.random)
            numbers = tuple(dict.fromkeys(parent.get("number") for parent in parents))
            if self.random.random() < self.options.reinforced:  # the roulette wheel
                return Proposal(self.policy.propose(genome), "reinforced", numbers, genome)
            return Proposal(mutated(self.space, genome, self.random), "natural", numbers, genome)

        return self._drawn(draw)

    def _drawn(self, draw: Callable[[], Proposal]) -> Proposal | None:
        for _ in range(DRAWS):
            proposal = draw()
            if self._is_new(proposal.genome) and self.allowed(proposal.genome):
                return self._new(proposal)
        return None

    def _is_new(self, genome: Genome) -> bool:
        return self.space.canonical(genome) not in self.seen

    def _new(self, proposal: Proposal) -> Proposal:
        self.seen.add(self.space.canonical(proposal.genome))
        return proposal


class _Mating(InfillCriterion):  # type: ignore[misc]
    """Parents by NSGA-II's tournament, offspring by the controller."""

    def __init__(self, child: Callable[[Any, Any], Proposal | None]) -> None:
        super().__init__(n_max_iterations=1)
        self.child = child
        self.selection = TournamentSelection(func_comp=binary_tournament)

    def _do(
        self, problem: Any, pop: Any, n_offsprings: int, *, algorithm: Any, random_state: Generator, **_: Any
    ) -> Any:
        pairs = self.selection(problem, pop, n_offsprings, 2, algorithm=algorithm, random_state=random_state)
        proposals = [proposal for first, second in pairs if (proposal := self.child(first, second))]
        if not proposals:
            return Population.empty()
        return Population.new("X", np.array([proposal.genome for proposal in proposals]), "proposal", proposals)


def crossed(space: Space, first: Genome, second: Genome, random: Generator) -> Genome:
    """The first genome up to a point of its micro and one of its macro groups, the second one after them."""
    child = list(first)
    for level in ("micro", "macro"):
        groups = [places for places in space.groups.values() if space.genes[places[0]].level == level]
        for places in groups[int(random.integers(len(groups) + 1)) :]:
            for place in places:
                child[place] = second[place]
    return tuple(child)


def mutated(space: Space, genome: Genome, random: Generator) -> Genome:
    """Natural mutation: the genes of one group are drawn anew, which is also what a reinforced mutation can do."""
    groups = list(space.groups.values())
    changed = list(genome)
    for place in groups[int(random.integers(len(groups)))]:
        changed[place] = int(random.integers(len(space.genes[place].choices)))
    return tuple(changed)
