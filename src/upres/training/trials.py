"""Scores on disk, so that what asks for many of them need not ask twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from upres.evaluation.results import write_text
from upres.networks.checkpoint import fingerprint

__all__ = ["Trials"]


class Trials:
    """A score that remembers: after a kill, who asks again for a network of the same weights gets the same.

    Pruning by validation tries hundreds of networks, which takes hours, and which ones depends on the scores alone.

    Args:
        score: of a network.
        path: of the file, which comes with the first score.
        run: what the scores belong to; those of anything else are forgotten.
        writes: whether this process keeps the file.
    """

    def __init__(self, score: Callable[[nn.Module], float], path: Path, run: str, *, writes: bool = True) -> None:
        self._score, self._path, self._run, self._writes = score, path, run, writes
        kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"run": ""}
        self._scores: dict[str, float] = kept["scores"] if kept["run"] == run else {}

    def __call__(self, network: nn.Module) -> float:
        """The score of a network."""
        asked = fingerprint(network)
        if asked not in self._scores:
            self._scores[asked] = self._score(network)
            if self._writes:
                write_text(self._path, json.dumps({"run": self._run, "scores": self._scores}))
        return self._scores[asked]
