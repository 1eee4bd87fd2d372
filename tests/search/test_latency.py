from pathlib import Path

import pytest

from upres.networks import NetworkSpec
from upres.search.latency import Options, Stopwatch, predicted, signature


def spec(**arguments: object) -> NetworkSpec:
    return NetworkSpec("bicubicpp", {"scale": 3, "anchor": True, "bias": True, **arguments})


@pytest.fixture(scope="module")
def stopwatch() -> Stopwatch:
    return Stopwatch(Options(reference="fast_x3", width=160, height=96, threads=1, pairs=11), Path(), 2.0)


def test_what_makes_no_difference_to_a_clock_has_one_signature(stopwatch: Stopwatch, tmp_path: Path) -> None:
    def signed(**arguments: object) -> str:
        return signature(stopwatch.model(spec(**arguments), tmp_path), 96, 160)

    plain = signed()
    assert plain == signed(layer="edge") == signed(layer="asymmetric") == signed(slope=0.05)
    others = [signed(channels=24), signed(blocks=2), signed(downscale="none"), signed(downscale="space-to-depth")]
    assert len({plain, *others}) == 5


def test_depth_is_predicted_where_the_operations_are_known(stopwatch: Stopwatch, tmp_path: Path) -> None:
    def signed(**arguments: object) -> str:
        return signature(stopwatch.model(spec(**arguments), tmp_path), 96, 160)

    known = {signed(convolutions=2): 10.0, signed(convolutions=5): 16.0}
    assert predicted(signed(convolutions=3), known) == pytest.approx(12)
    assert predicted(signed(convolutions=6), known) == pytest.approx(18)
    assert predicted(signed(convolutions=40), known) is None, "far from what is known"
    assert predicted(signed(convolutions=3, blocks=2), known) is None, "an addition more"
    assert predicted(signed(convolutions=3, channels=24), known) is None
    none = {signed(convolutions=2, downscale="none"): 30.0}
    assert predicted(signed(convolutions=3, downscale="none"), known | none) is None, "of another resolution"
    assert predicted(signed(), {}) is None


def test_latency_is_in_units_of_the_reference(stopwatch: Stopwatch, tmp_path: Path) -> None:
    assert stopwatch.milliseconds == 2.0
    small = stopwatch(stopwatch.model(spec(channels=32, bias=False), tmp_path))
    large = stopwatch(stopwatch.model(spec(channels=64, blocks=6), tmp_path))
    assert small.lower <= small.milliseconds <= small.upper
    assert large.milliseconds > 2 * small.milliseconds, "it has 15 times as many multiply-adds"
    assert 1 < small.milliseconds < 4, "the reference, of 2 ms, has the same shape"


def test_the_reference_is_timed_where_it_is_not_known() -> None:
    stopwatch = Stopwatch(Options(reference="fast_x3", width=32, height=32, threads=1, pairs=3), Path())
    assert stopwatch.milliseconds > 0
