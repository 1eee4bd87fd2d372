import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from upres.networks import NETWORKS, NetworkSpec, load
from upres.networks.count import count
from upres.networks.falsr import FALSR
from upres.search.genome import Elastic

SPACE = Elastic()


@pytest.mark.parametrize("name", ["falsr_a", "falsr_b", "falsr_c"])
def test_what_the_paper_found_is_in_the_space(name: str, shared: Path) -> None:
    genome = SPACE.encode(NetworkSpec(name))
    spec = SPACE.decode(genome)
    assert SPACE.encode(spec) == genome
    released = load(shared / f"reference/weights/{name}_x2_official.safetensors")[1]
    network = spec.build()
    network.load_state_dict(released.state_dict())
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(network(lr), released(lr))
    assert count(network) == count(NETWORKS[name]())


def test_the_size_of_the_space_is_the_papers() -> None:
    cells = [[len(gene.choices) for gene in SPACE.genes if gene.group == f"cell {cell}"] for cell in range(1, 8)]
    assert [int(np.prod(choices)) for choices in cells] == [192] * 7
    assert sum(gene.level == "macro" for gene in SPACE.genes) == 7 * 8 // 2


def test_every_genome_builds() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        genome = SPACE.random(random)
        spec = SPACE.decode(genome)
        assert SPACE.encode(spec) == genome
        network = spec.build()
        assert isinstance(network, FALSR)
        assert network.to("meta")(torch.empty(1, 3, 8, 6, device="meta")).shape == (1, 3, 16, 12)


def test_networks_that_are_the_same_have_one_identity() -> None:
    space = Elastic(cells=1)
    genomes = itertools.product(*(range(len(gene.choices)) for gene in space.genes))
    by_identity: dict[tuple[int, ...], list[Any]] = {}
    for genome in genomes:
        by_identity.setdefault(space.canonical(genome), []).append(space.decode(genome).arguments["cells"][0])
    assert max(len(same) for same in by_identity.values()) == 2
    for cells in by_identity.values():
        assert len({cell.rsplit("_", 1)[0] for cell in cells}) == 1
        assert len(cells) == (2 if "_b1_" in cells[0] else 1)


def test_what_is_outside_of_the_space_is_named() -> None:
    with pytest.raises(ValueError, match="it is no FALSR"):
        SPACE.encode(NetworkSpec("rfdn"))
    with pytest.raises(ValueError, match="cell 1 channels is 64, not 16, 32"):
        Elastic(channels=[16, 32]).encode(NetworkSpec("falsr_a"))
    with pytest.raises(ValueError, match="it has 7 cells and scale 2, not 5 and 2"):
        Elastic(cells=5).encode(NetworkSpec("falsr_a"))
    with pytest.raises(ValueError, match="no genome of this space"):
        SPACE.decode((0, 1))


def test_a_genome_is_told_in_words() -> None:
    text = SPACE.describe(SPACE.encode(NetworkSpec("falsr_b")))
    assert text.startswith("0 → invertBotConE2_f16_k3_b1_isskip; 0+1 → invertBotConE2_f48_k1_b2_isskip; ")
    assert text.endswith("1+4+6+7 → end")
