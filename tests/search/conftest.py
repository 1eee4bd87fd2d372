from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.images import Picture, write
from upres.search.plan import Plan, load_plan
from upres.search.proxy import Job, Outcome, weights_of

FILE = """
seed = 3
evaluations = 12
objectives = ["psnr", "multiply_adds"]

[space]
name = "plain"
scale = 2
channels = [4, 6, 8]
blocks = [1, 2]
convolutions = [1, 2]
layers = ["plain", "edge"]

[controller]
population = 4

[proxy]
sample = 3
longer = 2

[data]
train = "photographs"
validation = "photographs"

[stage]
steps = 8
batch = 2
patch = 8
learning_rate = 1e-3
warmup = 0
ema = 0.0
precision = "32-true"

[[full]]
steps = 100
optimizer = "soap"
losses = { luma_l1 = 1.0, l1 = 0.25 }
"""


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory, photograph: NDArray[np.uint8]) -> Path:
    """A folder of two small ones."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, left in enumerate((0, 120)):
        write(folder / f"{number}.png", Picture(np.ascontiguousarray(photograph[40:104, left : left + 64])))
    return folder


@pytest.fixture(scope="session")
def search_file(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """A small search."""
    path = tmp_path_factory.mktemp("search") / "small.toml"
    path.write_text(FILE.replace('"photographs"', f'"{photographs}"'))
    return path


@pytest.fixture(scope="session")
def plan(search_file: Path) -> Callable[..., Plan]:
    """The small search, changed."""
    return lambda *changes: load_plan(str(search_file), list(changes))


class Pretending:
    """Workers that train nothing: PSNR grows with the number of parameters.

    Args:
        stop_after: jobs, after which a kill is pretended.
    """

    def __init__(self, stop_after: int = 10**9) -> None:
        self.jobs: list[Job] = []
        self.left = stop_after

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job in reversed(jobs):  # in another order than they were asked for
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.jobs.append(job)
            yield job, self.outcome(job)

    def outcome(self, job: Job) -> Outcome:
        network = job.spec.build()
        size = sum(parameter.numel() for parameter in network.parameters())
        psnr = 20 + float(np.log10(size)) + (0.5 if job.spec.arguments["slope"] == 0.1 else 0)
        return Outcome(psnr, (psnr - 2, psnr - 1), False, 0.1, weights_of(network))


@pytest.fixture
def pretending() -> type[Any]:
    return Pretending
