from typing import Any

import numpy as np
import pytest

from upres.compression.reparameterise import merge
from upres.networks import NetworkSpec
from upres.networks.count import count
from upres.runtime import bundled, load_model
from upres.search.plain import Plain


@pytest.mark.parametrize("name", ["fast_x2", "fast_x3", "fast_x4", "fine_x2", "fine_x3", "fine_x4"])
def test_the_bundled_models_are_in_the_space(name: str) -> None:
    card = load_model(bundled()[name]).card
    space = Plain(scale=card.scale)
    spec = space.decode(space.encode(NetworkSpec(card.network, card.arguments)))
    assert count(merge(spec.build())).parameters == card.parameters
    assert spec.build().halo == card.halo


def test_every_genome_builds_with_the_anchor() -> None:
    space, random = Plain(scale=3), np.random.default_rng(0)
    for _ in range(20):
        spec = space.decode(space.random(random))
        assert spec.build().anchor is not None


def test_layers_that_have_biases_have_them_whatever_the_gene_says() -> None:
    space = Plain(scale=3)
    first: dict[str, Any] = {"scale": 3, "anchor": True, "layer": "edge", "bias": True, "slope": 0.1}
    with_bias = space.encode(NetworkSpec("bicubicpp", first))
    without = (*with_bias[:-1], 0)
    assert with_bias != without
    assert space.canonical(with_bias) == space.canonical(without)
    assert space.decode(with_bias) == space.decode(without)
    assert space.describe(without).endswith("layer edge, bias True")
    plain = space.encode(NetworkSpec("bicubicpp", {**first, "layer": "plain"}))
    assert count(merge(space.decode(with_bias).build())) == count(space.decode(plain).build())


def test_what_is_outside_of_the_space_is_named() -> None:
    with pytest.raises(ValueError, match="no bicubicpp x3 with an anchor"):
        Plain(scale=3).encode(NetworkSpec("bicubicpp", {"scale": 3}))
    with pytest.raises(ValueError, match="channels is 32, not 16, 24"):
        Plain(scale=3, channels=[16, 24]).encode(NetworkSpec("bicubicpp", {"scale": 3, "anchor": True}))


def test_networks_of_one_resolution_are_nearer_to_each_other() -> None:
    space = Plain(scale=3)

    def genome(**arguments: Any) -> tuple[int, ...]:
        return space.encode(NetworkSpec("bicubicpp", {"scale": 3, "anchor": True, **arguments}))

    other = genome(downscale="space-to-depth", channels=64, blocks=6, slope=0.0)
    assert space.distance(genome(), other) == 4
    assert space.distance(genome(), genome(downscale="none")) > 4
