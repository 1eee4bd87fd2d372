import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from upres.errors import SearchError
from upres.search.controller import Proposal
from upres.search.latency import Latency
from upres.search.proxy import Outcome
from upres.search.store import FILE, Store

PROPOSALS = [Proposal((0, 1), "random"), Proposal((1, 1), "natural", (1, 2), (1, 0))]


def add(store: Store) -> None:
    store.add(0, PROPOSALS, [proposal.genome for proposal in PROPOSALS], [{"parameters": 5.0}] * 2, [b"first", None])


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        add(store)
        store.finish(2, Outcome(30.5, (28.0, 29.0), False, 1.5, b"trained"), 1, 8)
        store.reward([1, 2], [0.5, -0.5])
        store.set_latency(2, {"parameters": 5.0}, 3.5)
        store.add_latency("shapes", Latency(2.0, 1.0, 3.0))
        store.add_longer(2, Outcome(31.0, seconds=4))
        store.note("plan", {"name": "x"})
    with Store(tmp_path, readable=True) as store:
        first, second = store.candidates()
        assert first.status == "waiting"
        assert second.status == "done"
        assert [first.proposal, second.proposal] == PROPOSALS
        assert (second.psnr, second.rungs, second.source, second.steps) == (30.5, (28.0, 29.0), 1, 8)
        assert second.costs == {"parameters": 5.0, "latency": 3.5}
        assert second.reward == -0.5
        assert store.weights(1, first=True) == b"first"
        assert store.weights(1) is None
        assert store.weights(2) == b"trained"
        assert store.latencies() == {"shapes": Latency(2.0, 1.0, 3.0)}
        assert store.longer() == {2: 31.0}
        assert store.fact("plan") == {"name": "x"}
        assert store.fact("nothing") is None


def test_no_network_is_there_twice_and_a_generation_is_whole_or_not_there(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        add(store)
        with pytest.raises(sqlite3.IntegrityError):
            store.add(1, [Proposal((7, 7), "random"), PROPOSALS[0]], [(7, 7), (0, 1)], [{}, {}], [None, None])
        assert len(store.candidates()) == 2


def test_one_process_writes_and_others_read(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        add(store)
        with pytest.raises(SearchError, match="another process runs this search"):
            Store(tmp_path)
        with Store(tmp_path, readable=True) as reader:
            assert len(reader.candidates()) == 2
    with Store(tmp_path) as store:
        assert len(store.candidates()) == 2


def test_what_is_no_search_is_said(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="holds no search; begin one with"):
        Store(tmp_path, readable=True)
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(SearchError, match="is no search of upres"):
        Store(tmp_path)


def test_a_process_that_is_killed_leaves_a_whole_file_and_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from tests.search.test_store import add, Store, Outcome\n"
        f"store = Store(Path({str(tmp_path)!r})); add(store)\n"
        "store.finish(1, Outcome(30.0, weights=b'w' * 10**6), None, 8)\n"
        "store.database.execute('BEGIN'); store.database.execute(\"UPDATE candidates SET psnr = 0\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "src")])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL
    with Store(tmp_path) as store:
        assert [candidate.psnr for candidate in store.candidates()] == [30.0, None]
        assert store.weights(1) == b"w" * 10**6
