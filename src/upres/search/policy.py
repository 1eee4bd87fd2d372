"""The policy behind reinforced mutation: a small recurrent network that learns which change pays.

It reads a genome gene by gene, picks a group of genes, and draws a choice for each of them, one after the other. It is
trained with REINFORCE (Williams 1992), as in FALSR (arXiv:1901.07261), by what became of its proposals.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from upres.search.genome import Genome, Space

__all__ = ["Policy"]

WIDTH = 32
RATE = 2e-2
ENTROPY = 0.01  # what the entropy weighs beside the reward, so that it goes on exploring
MEMORY = 0.8  # decay of the mean reward


class Policy(nn.Module):
    """Proposes changes of genomes.

    Args:
        space: of the genomes.
        seed: of its first weights and of all that it draws.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self.sizes = [len(gene.choices) for gene in space.genes]
        self.starts = [sum(self.sizes[:place]) for place in range(len(self.sizes))]
        self.groups = list(space.groups.values())
        self.random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(sum(self.sizes), WIDTH)
            self.reader = nn.GRU(WIDTH, WIDTH, batch_first=True, bidirectional=True)
            self.writer = nn.GRUCell(WIDTH, 2 * WIDTH)
            self.pointer = nn.Linear(2 * WIDTH, 1)
            self.choice = nn.Linear(2 * WIDTH, sum(self.sizes))
        self.optimizer = torch.optim.Adam(self.parameters(), RATE)
        self.expected: float | None = None
        """The decaying mean of the rewards, which is what a proposal is compared with."""

    @torch.no_grad()
    def propose(self, genome: Genome) -> Genome:
        """A genome with one group drawn anew, which may come out as it was."""
        read = self._read(genome)
        group = self._draw(self._group_scores(read))
        changed = list(genome)
        state = read[self.groups[group]].mean(0)
        for place in self.groups[group]:
            changed[place] = self._draw(self._choice_scores(state, place))
            state = self._written(state, place, changed[place])
        return tuple(changed)

    def learn(self, changes: Sequence[tuple[Genome, Genome, float]]) -> None:
        """One step of REINFORCE.

        Args:
            changes: a genome, what `propose` made of it, and the reward.
        """
        if not changes:
            return
        mean = sum(reward for *_, reward in changes) / len(changes)
        expected = mean if self.expected is None else self.expected
        losses = []
        for before, after, reward in changes:
            chance, entropy = self._chance(before, after)
            losses.append((expected - reward) * chance - ENTROPY * entropy)
        self.optimizer.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.expected = MEMORY * expected + (1 - MEMORY) * mean

    def _chance(self, before: Genome, after: Genome) -> tuple[Tensor, Tensor]:
        """The logarithm of the chance of a change, and the entropy of the choice of a group."""
        read = self._read(before)
        scores = self._group_scores(read).log_softmax(0)
        entropy = -(scores.exp() * scores).sum()
        changed = [place for place, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        # A group that came out as it was could have been any.
        groups = [number for number, places in enumerate(self.groups) if set(changed) <= set(places)]
        chances = []
        for group in groups:
            state, chance = read[self.groups[group]].mean(0), scores[group]
            for place in self.groups[group]:
                chance = chance + self._choice_scores(state, place).log_softmax(0)[after[place]]
                state = self._written(state, place, after[place])
            chances.append(chance)
        return torch.stack(chances).logsumexp(0), entropy

    def _read(self, genome: Genome) -> Tensor:
        """A vector for every gene: (genes, 2·WIDTH)."""
        tokens = torch.tensor([start + value for start, value in zip(self.starts, genome, strict=True)])
        read: Tensor = self.reader(self.embedding(tokens)[None])[0][0]
        return read

    def _group_scores(self, read: Tensor) -> Tensor:
        return torch.stack([self.pointer(read[places].mean(0))[0] for places in self.groups])

    def _choice_scores(self, state: Tensor, place: int) -> Tensor:
        scores: Tensor = self.choice(state)[self.starts[place] : self.starts[place] + self.sizes[place]]
        return scores

    def _written(self, state: Tensor, place: int, value: int) -> Tensor:
        token = torch.tensor(self.starts[place] + value)
        written: Tensor = self.writer(self.embedding(token)[None], state[None])[0]
        return written

    def _draw(self, scores: Tensor) -> int:
        return int(torch.multinomial(scores.softmax(0), 1, generator=self.random))
