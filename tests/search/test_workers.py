import math
import os
import threading
import time
from pathlib import Path

import pytest

from tests.search import tasks
from tests.search.tasks import job, starts
from upres.errors import RecipeError, SearchError
from upres.search.proxy import evaluate
from upres.search.workers import LocalWorkers, RayWorkers


def test_every_job_is_done_once(tmp_path: Path) -> None:
    with LocalWorkers(2, tasks.at_once) as workers:
        found = {done.number: outcome.psnr for done, outcome in workers.run([job(n, tmp_path) for n in range(5)])}
    assert found == {number: number for number in range(5)}
    assert [starts(tmp_path, number) for number in range(5)] == [1] * 5


def test_a_worker_that_dies_is_replaced_and_its_job_done_again(tmp_path: Path) -> None:
    with LocalWorkers(1, tasks.dies_first) as workers:
        found = {done.number: outcome.psnr for done, outcome in workers.run([job(n, tmp_path) for n in range(4)])}
    assert found == {number: number for number in range(4)}
    assert [starts(tmp_path, number) for number in range(4)] == [1, 1, 2, 1]


def test_what_kills_its_workers_fails_and_the_others_go_on(tmp_path: Path) -> None:
    with LocalWorkers(2, tasks.dies) as workers:
        found = {done.number: outcome for done, outcome in workers.run([job(n, tmp_path) for n in range(4)])}
    assert "died 3 times" in found[2].error
    assert math.isnan(found[2].psnr)
    assert sorted(outcome.psnr for number, outcome in found.items() if number != 2) == [0, 1, 3]
    assert starts(tmp_path, 2) == 3


def test_what_no_candidate_could_change_ends_the_search() -> None:
    with LocalWorkers(1, evaluate) as workers, pytest.raises(RecipeError, match="no folder of photographs is given"):
        list(workers.run([job(1)]))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Ray's own
def test_a_ray_cluster_loses_a_node_and_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra [ray]")
    from ray.cluster_utils import Cluster

    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(root / "src")]))  # for the nodes' processes
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        doomed = cluster.add_node(**small)

        def kill_in_the_middle() -> None:
            while not list(tmp_path.glob(f"*_{doomed.node_id}_*")):
                time.sleep(0.05)
            cluster.remove_node(doomed, allow_graceful=False)

        killer = threading.Thread(target=kill_in_the_middle)
        with RayWorkers(cluster.address, 1, tasks.slow_on_node) as workers:
            killer.start()
            found = {done.number: outcome for done, outcome in workers.run([job(n, tmp_path) for n in range(1, 7)])}
            killer.join()
    finally:
        cluster.shutdown()
    assert {number: outcome.psnr for number, outcome in found.items()} == {number: number for number in range(1, 7)}
    on_doomed = {path.name.split("_")[0] for path in tmp_path.glob(f"*_{doomed.node_id}_*")}
    assert on_doomed
    assert all(starts(tmp_path, int(number)) == 2 for number in on_doomed), "done again on the node that is left"


def test_a_cluster_that_is_not_there_is_said() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra [ray]")
    with pytest.raises(SearchError, match="no Ray cluster answers there"):
        RayWorkers("127.0.0.1:1", 1)
