"""Ray executor on a cluster of two nodes: results equal those of one process, even if workers die."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.data.build import build
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.errors import DetectorError, ExecutorError, SourceError
from fer_lmdb.inference.images import predict_images
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.runtime.executors import SerialExecutor, get_executor
from fer_lmdb.runtime.executors.ray import _connect

os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")  # both are read when Ray is imported: on a busy machine
os.environ.setdefault("RAY_worker_niceness", "0")  # its workers would starve at a lower priority
ray = pytest.importorskip("ray", reason="needs Ray: pip install 'fer-lmdb[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray: sockets and files that its processes leave open


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two nodes with one processor each, on loopback."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200 << 20})
    nodes.add_node(num_cpus=1, object_store_memory=200 << 20)
    ray.init(address=nodes.address, log_to_driver=False)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import a test
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def double_or_die(number: int, folder: str) -> tuple[int, str]:
    """Touch a file per number; the first process that gets number 7 kills itself."""
    mark = Path(folder) / str(number)
    first = not mark.exists()
    mark.touch()
    if number == 7 and first:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number, ray.get_runtime_context().get_node_id()


class Work:
    """`double_or_die` with its folder, picklable."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __call__(self, number: int) -> tuple[int, str]:
        return double_or_die(number, self.folder)


def reject(number: int) -> int:
    raise SourceError(f"number {number} is invalid")


def always_die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_worker_that_dies_is_replaced_without_losing_results(cluster, tmp_path: Path) -> None:
    found = list(get_executor("ray").map(Work(tmp_path), range(20), lambda number: number))
    assert [(number, result) for number, (result, _) in found] == [(number, 2 * number) for number in range(20)]
    assert len({node for _, (_, node) in found}) == 2


def test_errors_of_the_work_are_raised_unchanged(cluster) -> None:
    with pytest.raises(SourceError, match=r"^number 0 is invalid$"):
        list(get_executor("ray").map(reject, range(3), lambda number: number))


def test_retries_are_limited(cluster, monkeypatch) -> None:
    monkeypatch.setattr("fer_lmdb.runtime.executors.ray.RETRIES", 1)
    with pytest.raises(ExecutorError, match="a Ray task failed") as failure:
        list(get_executor("ray").map(always_die, range(1), lambda number: number))
    assert "\n" not in str(failure.value)


def test_build_on_a_cluster_equals_local_build(cluster, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["fer_lmdb.data.build.collect"], "MAX_BATCH_IMAGES", 8)
    write_synthetic_csv(tmp_path / "drawn.csv", train=28, val=7, test=7)
    documents = [
        build(tmp_path / "drawn.csv", tmp_path / executor, seed=3, executor=executor).manifest
        for executor in ("local", "ray")
    ]
    assert documents[0] == documents[1]
    for name in ("manifest.json", "detections.jsonl", "mean.binaryproto"):
        assert (tmp_path / "local" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()


def test_a_missing_detector_is_reported_before_tasks_are_sent(cluster, tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "drawn.csv", train=7, val=7, test=7)
    with pytest.raises(DetectorError):
        build(tmp_path / "drawn.csv", tmp_path / "data", detector="nosuch", executor="ray")


def test_predictions_on_a_cluster_equal_local_ones(cluster, trained, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(generator.integers(0, 256, (60, 48), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "5.png").write_bytes(b"not an image")
    recognizer = Recognizer(trained.run.path, detector="none")
    seen = [
        [prediction.to_dict() for prediction in predict_images(tmp_path, recognizer, executor=engine)]
        for engine in (SerialExecutor(), get_executor("ray"))
    ]
    assert len(seen[0]) == 6
    assert seen[0] == seen[1]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_an_unreachable_cluster_is_reported_in_one_line(address: str) -> None:
    with pytest.raises(ExecutorError, match=f"cannot reach the Ray cluster {address}") as failure:
        _connect(ray, address)
    assert "\n" not in str(failure.value)
