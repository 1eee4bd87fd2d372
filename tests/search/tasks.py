"""What test workers do instead of training: importable by other processes and by Ray's nodes."""

import os
import time
from pathlib import Path

from upres.networks import NetworkSpec
from upres.search.proxy import Job, Outcome
from upres.training.recipe import Data, Stage


def job(number: int, folder: Path | str = "") -> Job:
    return Job(number, NetworkSpec("bicubicpp"), Data(train=str(folder)), Stage(steps=1), seed=0)


def starts(folder: Path, number: int) -> int:
    """How often a job was started."""
    return len(list(folder.glob(f"{number}_*")))


def _start(job: Job) -> int:
    folder = Path(job.data.train)
    (folder / f"{job.number}_{os.getpid()}_{time.time_ns()}").touch()
    return starts(folder, job.number)


def at_once(job: Job) -> Outcome:
    _start(job)
    return Outcome(psnr=job.number)


def slow(job: Job) -> Outcome:
    _start(job)
    time.sleep(1.5)
    return Outcome(psnr=job.number)


def dies_first(job: Job) -> Outcome:
    if _start(job) == 1 and job.number == 2:
        os._exit(1)
    return Outcome(psnr=job.number)


def dies(job: Job) -> Outcome:
    _start(job)
    if job.number == 2:
        os._exit(1)
    return Outcome(psnr=job.number)


def slow_on_node(job: Job) -> Outcome:
    """Leaves a file that names the node."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    (Path(job.data.train) / f"{job.number}_{node}_{os.getpid()}").touch()
    time.sleep(1.5)
    return Outcome(psnr=job.number)
