"""Where candidates are evaluated: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, Self

from upres.errors import MissingExtra, SearchError
from upres.search.proxy import Job, Outcome, evaluate

__all__ = ["LocalWorkers", "RayWorkers", "Workers"]

PATIENCE = 10.0  # seconds for a cluster to answer
TRIES = 3  # for a candidate whose worker dies, before it counts as failed
LOST = f"its worker died {TRIES} times; is there enough memory?"

Evaluate = Callable[[Job], Outcome]


class Workers(Protocol):
    """Evaluates many candidates at once."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Every job with its outcome, as they become ready.

        Raises:
            UpresError: if something is wrong that no other candidate would change.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class LocalWorkers:
    """Processes of this machine. One that dies, killed for its memory for example, is replaced.

    Args:
        count: how many.
        task: what is done with a job; importable by the processes.
    """

    def __init__(self, count: int, task: Evaluate = evaluate) -> None:
        self.count, self.task = count, task
        self.pool = self._new()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in list((self.pool._processes or {}).values()):
            process.terminate()
        self.pool.shutdown(cancel_futures=True)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See `Workers.run`."""
        tries = dict.fromkeys((job.number for job in jobs), 0)
        waiting = list(jobs)
        running: dict[Future[Outcome], Job] = {}
        broken = False  # one process that dies takes the pool, and all that runs in it, with it
        while waiting or running:
            if broken and not running:
                self.pool, broken = self._new(), False
            while waiting and not broken:
                # What ran when a process died is tried again alone, so that none is blamed for another.
                alone = any(tries[job.number] > 1 for job in running.values()) or tries[waiting[0].number]
                if len(running) >= (1 if alone else self.count):
                    break
                try:
                    future = self.pool.submit(self.task, waiting[0])
                except BrokenProcessPool:
                    broken = True
                    break
                job = waiting.pop(0)
                tries[job.number] += 1
                running[future] = job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job = running.pop(future)
                try:
                    yield job, future.result()
                except BrokenProcessPool:
                    broken = True
                    if tries[job.number] < TRIES:
                        waiting.insert(0, job)
                    else:
                        yield job, Outcome(error=LOST)

    def _new(self) -> ProcessPoolExecutor:
        # Forked processes would inherit the threads' locks of PyTorch and of the engine.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.count, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Processes of a pool would wait for ever for the next job of a process that was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class RayWorkers:
    """A Ray cluster, on whose nodes upres is installed and the folders of photographs are found under the same paths.

    A candidate whose node dies is evaluated again on another one, and so is one whose result dies with a node.

    Args:
        address: of the cluster, ``auto`` for the one that this machine belongs to, or empty for a new local one.
        threads: cores that one candidate takes.
        task: what is done with a job; importable on the nodes.

    Raises:
        MissingExtra: if Ray is not installed.
        SearchError: if there is no such cluster.
    """

    def __init__(self, address: str, threads: int, task: Evaluate = evaluate) -> None:
        try:
            import ray
        except ImportError:
            raise MissingExtra("Ray", "ray") from None
        self.ray: Any = ray
        try:
            host, _, port = address.removeprefix("ray://").rpartition(":")
            if host:  # Ray itself asks for minutes, and then ends the process
                socket.create_connection((host, int(port)), PATIENCE).close()
            ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise SearchError(f"--ray {address}: no Ray cluster answers there ({error})") from None
        self.remote = ray.remote(num_cpus=threads, max_retries=TRIES)(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ray.shutdown()

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See `Workers.run`."""
        running = {self.remote.remote(job): job for job in jobs}
        while running:
            (ready,), _ = self.ray.wait(list(running), num_returns=1)
            job = running.pop(ready)
            try:
                yield job, self.ray.get(ready)
            except (self.ray.exceptions.WorkerCrashedError, self.ray.exceptions.ObjectLostError):
                yield job, Outcome(error=LOST)
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from None
