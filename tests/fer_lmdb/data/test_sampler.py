from __future__ import annotations

import pytest
import torch

from fer_lmdb.data.loaders import InMemoryLoader
from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.runtime.seeding import derive_seed


def numbered(count: int, batch_size: int, seed: int = 0) -> InMemoryLoader:
    """Return a loader whose labels are the positions of the faces."""
    images = torch.zeros(count, 1, 2, 3, dtype=torch.uint8)
    return InMemoryLoader(images, torch.arange(count), batch_size, seed)


def test_each_face_occurs_once_per_epoch_also_if_batches_straddle_epochs():
    batches = numbered(10, batch_size=4)
    stream = torch.cat([batches.at(i)[1] for i in range(5)])
    assert sorted(stream[:10].tolist()) == list(range(10))
    assert sorted(stream[10:].tolist()) == list(range(10))
    assert stream[:10].tolist() != stream[10:].tolist()


def test_batches_depend_on_seed_and_iteration_only():
    one, other = numbered(10, 4), numbered(10, 4)
    for i in range(8):
        one.at(i)
    assert torch.equal(one.at(9)[1], other.at(9)[1])
    assert torch.equal(one.at(2)[1], other.at(2)[1])
    assert not torch.equal(one.at(2)[1], numbered(10, 4, seed=1).at(2)[1])


def test_a_batch_may_be_larger_than_the_split():
    labels = numbered(3, batch_size=8).at(0)[1]
    assert sorted(labels[:3].tolist()) == sorted(labels[3:6].tolist()) == [0, 1, 2]
    assert len(labels) == 8


def test_images_and_labels_stay_together():
    images = torch.arange(7, dtype=torch.uint8).reshape(7, 1, 1, 1)
    batches = InMemoryLoader(images, torch.arange(7), 3, seed=5)
    for i in range(6):
        faces, labels = batches.at(i)
        assert faces.flatten().tolist() == labels.tolist()


@pytest.mark.parametrize("ranks", [2, 3, 6])
def test_ranks_partition_the_batch(ranks):
    full = EpochSampler(10, 6, seed=2)
    parts = [EpochSampler(10, 6, seed=2, part=(rank, ranks)) for rank in range(ranks)]
    for number in range(7):
        assert torch.equal(torch.cat([part.batch_indices(number) for part in parts]), full.batch_indices(number))


def test_seeds_of_different_purposes_or_steps_differ():
    seeds = {derive_seed(s, n, p) for s in range(3) for n in range(50) for p in ("shuffle", "augment", "net")}
    assert len(seeds) == 3 * 50 * 3
