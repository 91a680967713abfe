"""Streamed batches equal those from memory, in bounded memory, also after a worker is killed."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_lmdb.data.loaders import InMemoryLoader
from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.data.streaming import StreamingLoader
from prototxt_like.errors import StoreError
from prototxt_like.io.datum_store import LmdbFaces, LmdbRandomReader, LmdbWriter, read_labels, read_split

COUNTS = (70, 30)


def write(path: Path, count: int, seed: int = 0, side: int = 12) -> Path:
    generator = np.random.default_rng(seed)
    with LmdbWriter(path) as writer:
        for number in range(count):
            writer.append(
                f"/{number}.png", generator.integers(0, 256, (side, side), dtype=np.uint8), int(generator.integers(7))
            )
    return path


@pytest.fixture(scope="module")
def databases(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("databases")
    return [write(folder / str(number), count, number) for number, count in enumerate(COUNTS)]


def both(databases: list[Path], workers: int, start_method: str | None = None, batch_size: int = 16):
    splits = [read_split(path) for path in databases]
    images = torch.from_numpy(np.concatenate([split.images for split in splits]))
    labels = torch.from_numpy(np.concatenate([split.labels for split in splits]))
    faces = LmdbFaces([(path, len(split.labels)) for path, split in zip(databases, splits, strict=True)])
    order = EpochSampler(len(labels), batch_size, seed=3)
    return InMemoryLoader(images, labels, batch_size, 3), StreamingLoader(faces, labels, order, workers, start_method)


@pytest.mark.parametrize(("workers", "method"), [(0, None), (1, "fork"), (2, "fork"), (2, "spawn")])
def test_streamed_batches_equal_in_memory_batches(databases, workers, method):
    memory, stream = both(databases, workers, method)
    # Consecutive batches, after a resume, and backwards; restarting processes with "spawn" takes seconds.
    for number in range(9) if method == "spawn" else [*range(9), 40, 41, 5]:
        for one, other in zip(memory.at(number), stream.at(number), strict=True):
            assert torch.equal(one, other)
    stream.close()


def test_a_killed_worker_is_restarted(databases, caplog):
    memory, stream = both(databases, 2, "fork")
    stream.at(0)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGKILL)
    for number in range(1, 20):
        assert torch.equal(stream.at(number)[0], memory.at(number)[0])
    assert "was killed" in caplog.text
    stream.close()


def test_workers_do_not_affect_signals_and_random_numbers(databases):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)]
    state = torch.random.get_rng_state()
    _, stream = both(databases, 1, "fork")
    stream.at(0)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGINT)
    time.sleep(0.2)
    assert worker.is_alive()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)] == handlers
    assert torch.equal(torch.random.get_rng_state(), state)
    stream.close()
    deadline = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_errors_in_workers_are_raised_in_the_main_process(tmp_path):
    path = write(tmp_path / "db", 20)
    with LmdbWriter(tmp_path / "other") as writer:
        writer.append("small", np.zeros((3, 5), np.uint8), 0)
    faces = LmdbFaces([(path, 20), (tmp_path / "other", 1)])
    stream = StreamingLoader(faces, torch.zeros(21), EpochSampler(21, 21, 0), 1, "fork")
    with pytest.raises(StoreError, match="expected one size"):
        stream.at(0)
    stream.close()


def test_a_database_without_consecutive_keys_is_rejected(tmp_path):
    import lmdb

    with lmdb.open(str(tmp_path / "db")) as environment, environment.begin(write=True) as transaction:
        for key in (b"00000000_a", b"00000002_b"):
            transaction.put(key, b"")
    with pytest.raises(StoreError, match="does not begin with 00000001_"):
        read_labels(tmp_path / "db")
    with pytest.raises(StoreError, match="--loader memory"):
        list(LmdbRandomReader(tmp_path / "db").get([1]))


def read_values(reader: LmdbRandomReader, positions: list[int], results) -> None:
    reader.keep_open()
    results.put([value for _, value in reader.get(positions)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes_read_one_database_at_once(databases, method):
    """Also if the parent has read it before the fork."""
    reader = LmdbRandomReader(databases[0])
    positions = np.random.default_rng(0).permutation(COUNTS[0]).tolist()
    expected = [value for _, value in reader.get(positions)]
    context = multiprocessing.get_context(method)
    results = context.Queue()
    processes = [context.Process(target=read_values, args=(reader, positions, results)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [value for _, value in reader.get(positions)] == expected
    assert [results.get(timeout=60) for _ in processes] == [expected] * 3
    for process in processes:
        process.join()
    assert pickle.loads(pickle.dumps(reader)).path == reader.path


def private_bytes(pid: int) -> int:
    """Return the anonymous memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    pytest.skip("cannot read the memory of a process on this system")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_database(tmp_path):
    count, side = 6000, 100  # 60 MB of faces
    path = write(tmp_path / "db", count, side=side)
    stream = StreamingLoader(LmdbFaces([(path, count)]), torch.zeros(count), EpochSampler(count, 50, 0), 1, "fork")
    before = private_bytes(os.getpid())
    stream.at(0)
    (worker,) = multiprocessing.active_children()
    begun = private_bytes(worker.pid)
    for number in range(1, count // 50):
        stream.at(number)
    grown = private_bytes(os.getpid()) - before + private_bytes(worker.pid) - begun
    assert grown < 20 << 20
    stream.close()
