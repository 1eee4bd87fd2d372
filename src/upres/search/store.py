"""A search's state: one SQLite file, whole whenever the process is killed.

What happens together is one transaction: a generation is recorded before any of it is evaluated, and a candidate's
result with its weights.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from upres.errors import SearchError
from upres.search.controller import Proposal
from upres.search.genome import Genome
from upres.search.latency import Latency
from upres.search.proxy import Outcome

__all__ = ["FILE", "Candidate", "Store"]

FILE = "search.sqlite"
SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE candidates (
    number INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    genome TEXT NOT NULL,
    identity TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL,
    parents TEXT NOT NULL,
    before TEXT,
    costs TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting',
    source INTEGER,
    steps INTEGER NOT NULL DEFAULT 0,
    psnr REAL,
    rungs TEXT NOT NULL DEFAULT '[]',
    seconds REAL NOT NULL DEFAULT 0,
    reward REAL,
    error TEXT NOT NULL DEFAULT ''
);
CREATE TABLE weights (number INTEGER PRIMARY KEY, first BLOB, trained BLOB);
CREATE TABLE latencies (signature TEXT PRIMARY KEY, milliseconds REAL, lower REAL, upper REAL);
CREATE TABLE longer (number INTEGER PRIMARY KEY, psnr REAL NOT NULL, seconds REAL NOT NULL);
"""


@dataclass(frozen=True)
class Candidate:
    """A network of a search, and what is known of it."""

    number: int
    """From 1."""
    generation: int
    """From 0."""
    genome: Genome
    origin: str
    parents: tuple[int, ...]
    before: Genome | None
    costs: dict[str, float]
    """Of `upres.search.plan.COSTS`; latency where it is measured."""
    status: str
    """``waiting``, ``done``, ``stopped`` (hopeless after a part of the training), ``refused`` (too slow to be trained),
    ``failed``."""
    source: int | None
    """Whose weights it began with."""
    steps: int
    """Of training in its weights, with those of the candidates that it inherited from."""
    psnr: float | None
    rungs: tuple[float, ...]
    seconds: float
    reward: float | None
    error: str

    @property
    def proposal(self) -> Proposal:
        """What the controller asked for."""
        return Proposal(self.genome, self.origin, self.parents, self.before)


class Store:
    """The file of a search.

    Args:
        folder: of the search.
        readable: only read, which is possible at any time; otherwise this is the one process that writes.

    Raises:
        SearchError: if there is no search to read, or another process writes.
    """

    def __init__(self, folder: Path, *, readable: bool = False) -> None:
        path = folder / FILE
        if readable and not path.exists():
            raise SearchError(f"{folder}: holds no search; begin one with `upres search FILE --out {folder}`")
        self.lock = None if readable else _lock(folder)
        self.database = sqlite3.connect(path, isolation_level=None)
        try:
            self.database.execute("PRAGMA journal_mode = WAL")
            if not self.database.execute("SELECT 1 FROM sqlite_master").fetchone() and not readable:
                self.database.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            self.database.execute("SELECT 1 FROM facts")
        except sqlite3.DatabaseError as error:
            self.close()
            raise SearchError(f"{path}: is no search of upres ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()
        if self.lock:
            self.lock.close()

    def fact(self, name: str) -> Any:
        """What was noted under a name, or None."""
        row = self.database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def note(self, name: str, value: Any) -> None:
        """Keep something under a name."""
        self.database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def candidates(self) -> list[Candidate]:
        """All of them, in order."""
        columns = ", ".join(Candidate.__dataclass_fields__)
        return [_candidate(row) for row in self.database.execute(f"SELECT {columns} FROM candidates ORDER BY number")]  # noqa: S608

    def add(
        self,
        generation: int,
        proposals: Sequence[Proposal],
        identities: Sequence[Genome],
        costs: Sequence[dict[str, float]],
        first: Sequence[bytes | None],
    ) -> None:
        """Record a generation, whole, with the weights that seeds come with."""
        with self.database:
            self.database.execute("BEGIN IMMEDIATE")
            for proposal, identity, cost, weights in zip(proposals, identities, costs, first, strict=True):
                row = (
                    generation,
                    *map(json.dumps, (proposal.genome, identity)),
                    proposal.origin,
                    json.dumps(proposal.parents),
                    json.dumps(proposal.before) if proposal.before else None,
                    json.dumps(cost),
                )
                number = self.database.execute(
                    "INSERT INTO candidates (generation, genome, identity, origin, parents, before, costs) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
                self.database.execute("INSERT INTO weights VALUES (?, ?, NULL)", (number, weights))

    def refuse(self, number: int, why: str) -> None:
        """A candidate is not trained."""
        self.database.execute("UPDATE candidates SET status = 'refused', error = ? WHERE number = ?", (why, number))

    def finish(self, number: int, outcome: Outcome, source: int | None, steps: int) -> None:
        """A candidate's result, whole."""
        status = "failed" if outcome.error else "stopped" if outcome.stopped else "done"
        psnr = None if outcome.error else outcome.psnr
        with self.database:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.execute(
                "UPDATE candidates SET status = ?, source = ?, steps = ?, psnr = ?, rungs = ?, seconds = ?, error = ? "
                "WHERE number = ?",
                (status, source, steps, psnr, json.dumps(outcome.rungs), outcome.seconds, outcome.error, number),
            )
            self.database.execute("UPDATE weights SET trained = ? WHERE number = ?", (outcome.weights or None, number))

    def reward(self, numbers: Sequence[int], rewards: Sequence[float]) -> None:
        """What the controller learnt from."""
        with self.database:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(
                "UPDATE candidates SET reward = ? WHERE number = ?", list(zip(rewards, numbers, strict=True))
            )

    def set_latency(self, number: int, costs: dict[str, float], milliseconds: float) -> None:
        """A candidate's latency, beside its other costs."""
        text = json.dumps({**costs, "latency": milliseconds})
        self.database.execute("UPDATE candidates SET costs = ? WHERE number = ?", (text, number))

    def weights(self, number: int, *, first: bool = False) -> bytes | None:
        """A candidate's trained weights, or those that it came with."""
        column = "first" if first else "trained"
        row = self.database.execute(f"SELECT {column} FROM weights WHERE number = ?", (number,)).fetchone()  # noqa: S608
        return row[0] if row else None

    def latencies(self) -> dict[str, Latency]:
        """What was measured, by the signatures of the models."""
        rows = self.database.execute("SELECT signature, milliseconds, lower, upper FROM latencies ORDER BY rowid")
        return {signature: Latency(*values) for signature, *values in rows}

    def add_latency(self, signature: str, latency: Latency) -> None:
        """Keep what was measured."""
        row = (signature, latency.milliseconds, latency.lower, latency.upper)
        self.database.execute("INSERT OR REPLACE INTO latencies VALUES (?, ?, ?, ?)", row)

    def longer(self) -> dict[int, float]:
        """PSNR of the candidates that were trained longer, by their numbers."""
        return dict(self.database.execute("SELECT number, psnr FROM longer ORDER BY number"))

    def add_longer(self, number: int, outcome: Outcome) -> None:
        """The result of a longer training."""
        row = (number, outcome.psnr, outcome.seconds)
        self.database.execute("INSERT OR REPLACE INTO longer VALUES (?, ?, ?)", row)


def _candidate(row: Sequence[Any]) -> Candidate:
    values = dict(zip(Candidate.__dataclass_fields__, row, strict=True))
    for name in ("genome", "parents", "before", "rungs"):
        values[name] = tuple(json.loads(values[name])) if values[name] is not None else None
    values["costs"] = json.loads(values["costs"])
    return Candidate(**values)


def _lock(folder: Path) -> sqlite3.Connection:
    """What only one process has, until it ends however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(folder / "running.lock", timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        lock.close()
        raise SearchError(f"{folder}: another process runs this search; wait for it, or end it first") from None
    return lock
