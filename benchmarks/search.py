"""Does reinforced mutation earn its place? `upres search falsr_x2`, shortened, against natural mutation and chance.

python benchmarks/search.py TRAIN VALIDATION OUT [WORKERS]

Every method looks at as many networks, three times, from seeds 0 to 2: with one seed, all begin with the same random
population. TRAIN and VALIDATION are folders of photographs; what is in OUT goes on. Prints the hypervolume of the
front, the gain over 23 dB mean over all limits up to 4e10 multiply-adds and the most parameters that fit them: PSNR as
it is after so short a training.
"""

import sys
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from upres.search.plan import load_plan
from upres.search.run import search
from upres.search.standing import hypervolume_of
from upres.search.store import Store
from upres.search.workers import LocalWorkers

SHORT = ("evaluations=72", "constraints.psnr=23.0", "constraints.multiply_adds=4e10", "stage.steps=48")
METHODS = {
    "reinforced and natural": ("controller.reinforced=0.5",),
    "natural": ("controller.reinforced=0.0",),
    "random search": ('controller.method="random"',),
}
SEEDS = range(3)
REFERENCE = np.array([-23.0, 4e10, 6.2e5])  # in the order of the objectives
MARKS = (12, 24, 36, 48, 60, 72)


def main() -> None:
    train, validation, out = (Path(argument) for argument in sys.argv[1:4])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    volumes: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    with LocalWorkers(count) as workers:
        for seed in SEEDS:
            for name, changes in METHODS.items():
                folders = (f'data.train="{train}"', f'data.validation="{validation}"')
                sample = f"proxy.sample={8 if seed == 0 and name == 'reinforced and natural' else 0}"
                plan = load_plan("falsr_x2", [*SHORT, *changes, *folders, sample, f"seed={seed}"])
                with Store(out / f"{name.replace(' ', '_')}_{seed}") as store:
                    store.note("plan", plan.source)
                    found = search(plan, store, workers)
                    candidates = store.candidates()
                    volumes[name].append([hypervolume_of(plan, candidates[:mark], REFERENCE) for mark in MARKS])
                if found.correlation is not None:
                    print(f"rank correlation with 4 times as long a training: {found.correlation:.2f}")
                print(f"{name}, seed {seed}: {volumes[name][-1][-1]:.4f}", flush=True)
    print(f"\n{'candidates':>24}" + "".join(f"{mark:>15}" for mark in MARKS))
    for name, runs in volumes.items():
        columns = zip(*runs, strict=True)
        print(f"{name:>24}" + "".join(f"{fmean(column):>8.3f} ±{stdev(column):.3f}" for column in columns))


if __name__ == "__main__":
    main()
