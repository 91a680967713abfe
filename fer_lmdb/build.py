"""Pictures -> faces -> databases, mean image and manifest. All or nothing.

source ──▶ prepare (detect, align) ──▶ spool ──▶ shuffle ──▶ LMDB, mean.binaryproto, manifest.json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fer_lmdb import manifest as manifests
from fer_lmdb.errors import DataSetError, SourceError
from fer_lmdb.labels import FER2013, LabelScheme
from fer_lmdb.sources import SPLITS, Reject, Sample, Source
from fer_lmdb.spool import Entry, Spool
from fer_lmdb.store import Encoding, StoreWriter, digest
from fer_lmdb.whole import whole_folder
from prototxt_like.files import write_mean as write_mean_file

SIZE = 48
PICTURES_AT_ONCE = 512

Progress = Callable[[str, int, "int | None"], None]
"""Called with the stage ("read", "write train", "check"), how much of it is done and, where known, how much it is."""


@dataclass(frozen=True)
class Options:
    """How a data set is built; every field is an option of ``fer-lmdb build``."""

    scheme: LabelScheme = FER2013
    on_miss: Literal["keep", "drop"] = "keep"
    seed: int = 0
    encode: Encoding = "raw"
    skip_bad: bool = False


@dataclass
class SplitCount:
    """What became of the pictures of one split."""

    count: int = 0
    detected: int = 0
    kept_unaligned: int = 0
    dropped: int = 0
    unreadable: int = 0
    per_class: dict[str, int] = field(default_factory=dict)


@dataclass
class Gathered:
    """Everything that was read and prepared, waiting to be written."""

    spools: dict[str, Spool]
    counts: dict[str, SplitCount]
    rejects: list[Reject]
    rows: int


def build(
    source: Source,
    target: Path,
    options: Options | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Build a data set folder.

    Args:
        source: where the pictures come from.
        target: the folder to make; it appears complete or not at all.
        options: how to build it.
        force: replace the folder where it exists.
        progress: told how far it is.
    Returns:
        the manifest that was written.
    Raises:
        SourceError: a row or file cannot be used (without `skip_bad`), or there is nothing to train on.
        DataSetError: the target exists, is being built, or cannot be written.
        StoreError: a database cannot be written, e.g. on a full disk.
    """
    options = options or Options()
    with whole_folder(target, force=force) as folder:
        gathered = gather(source, folder, options, progress)
        document = write(source, gathered, folder, options, progress)
        check(folder, document, progress)
    return document


# ------------------------------------------------------------------ reading


def gather(source: Source, folder: Path, options: Options, progress: Progress) -> Gathered:
    """Read the source to its end, prepare every face and spool it."""
    spools = {split: Spool(folder / f"{split}.spool", SIZE) for split in SPLITS}
    counts = {split: SplitCount(per_class=dict.fromkeys(options.scheme.classes, 0)) for split in SPLITS}
    gathered = Gathered(spools, counts, [], 0)
    for batch in batched(source, PICTURES_AT_ONCE):
        add_batch(batch, gathered, options)
        progress("read", gathered.rows, source.size_hint())
    if not spools["train"].entries:
        raise SourceError(f"{source.name} has no face to train on; expected rows or folders of a training split")
    return gathered


def add_batch(batch: list[Sample | Reject], gathered: Gathered, options: Options) -> None:
    """Prepare the faces of one batch and spool them; stop at a reject unless bad ones are skipped."""
    gathered.rows += len(batch)
    for item in batch:
        if isinstance(item, Reject):
            note_reject(item, gathered, options)
            continue
        label = label_in_scheme(item.label, options.scheme)
        counts = gathered.counts[item.split]
        if label is None:
            counts.dropped += 1
            continue
        counts.count += 1
        counts.per_class[options.scheme.classes[label]] += 1
        gathered.spools[item.split].add(item.image, Entry(item.name, label, votes=item.votes))


def note_reject(reject: Reject, gathered: Gathered, options: Options) -> None:
    """Count a row or file that cannot be used.

    Raises:
        SourceError: bad ones are not to be skipped.
    """
    if not options.skip_bad:
        raise SourceError(f"{reject.where}: {reject.reason} (--skip-bad leaves such rows and files out and lists them)")
    gathered.rejects.append(reject)
    if reject.split is not None:
        gathered.counts[reject.split].unreadable += 1


def label_in_scheme(label: int, scheme: LabelScheme) -> int | None:
    """Return the label that one of FER2013's labels has in a scheme; None where the scheme leaves it out."""
    if scheme.fer2013 is None:
        raise SourceError(f"the scheme {scheme.name} needs other labels than FER2013's")
    return scheme.fer2013[label]


def batched(items: Iterable[Sample | Reject], size: int) -> Iterator[list[Sample | Reject]]:
    """Cut a stream into lists of `size`."""
    batch: list[Sample | Reject] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# ------------------------------------------------------------------ writing


def write(source: Source, gathered: Gathered, folder: Path, options: Options, progress: Progress) -> dict[str, Any]:
    """Write databases, mean, list of rejects and manifest into the folder."""
    splits: dict[str, Any] = {}
    for split, spool in gathered.spools.items():
        if spool.entries:
            splits[split] = write_split(split, spool, folder, options, progress) | vars(gathered.counts[split])
        spool.remove()
    write_rejects(folder, gathered.rejects)
    document = {
        "format": manifests.FORMAT,
        "scheme": options.scheme.name,
        "classes": list(options.scheme.classes),
        "size": SIZE,
        "detector": "none",
        "align": False,
        "seed": options.seed,
        "encode": options.encode,
        "source": {"name": source.name, "sha256": source.sha256(), "rows": gathered.rows},
        "mean": {"file": manifests.MEAN_NAME, "sha256": manifests.file_sha256(folder / manifests.MEAN_NAME)},
        "unreadable": len(gathered.rejects),
        "splits": splits,
    }
    manifests.write_manifest(folder, document)
    return document


def write_split(split: str, spool: Spool, folder: Path, options: Options, progress: Progress) -> dict[str, str]:
    """Write one split's database in shuffled order, and the mean image where it is the train split.

    Returns:
        the digests for the manifest.
    """
    total = np.zeros((spool.size, spool.size), dtype=np.int64)
    path = manifests.database(folder, split)
    generator = np.random.default_rng([options.seed, SPLITS.index(split)])
    with StoreWriter(path, options.encode) as writer:
        for entry, face in spool.shuffled(generator):
            writer.append(entry.name, face, entry.label)
            total += face
            if writer.count % 1000 == 0:
                progress(f"write {split}", writer.count, len(spool.entries))
    if split == "train":
        write_mean(folder / manifests.MEAN_NAME, total, len(spool.entries))
    return {"sha256": writer.sha256, "file_sha256": manifests.file_sha256(path / "data.mdb")}


def write_mean(path: Path, total: NDArray[np.int64], count: int) -> None:
    """Write the mean image, rounded as Caffe's compute_image_mean rounds it.

    Args:
        path: the binaryproto to write.
        total: (H, W) sum of all faces.
        count: how many faces.
    """
    mean = total.astype(np.float32) / np.float32(count)
    write_mean_file(mean[np.newaxis], path)


def write_rejects(folder: Path, rejects: list[Reject]) -> None:
    """List what could not be used, one JSON object a line; no file where there is nothing to list."""
    if rejects:
        lines = (
            json.dumps({"where": reject.where, "split": reject.split, "reason": reject.reason}) for reject in rejects
        )
        (folder / "unreadable.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def check(folder: Path, document: dict[str, Any], progress: Progress) -> None:
    """Read every database again and compare it with the manifest.

    Raises:
        DataSetError: what lies on the disk is not what was written.
    """
    for number, (split, facts) in enumerate(document["splits"].items(), start=1):
        if digest(manifests.database(folder, split)) != facts["sha256"]:
            raise DataSetError(f"{split}_lmdb does not read back as it was written; is the disk or memory faulty?")
        progress("check", number, len(document["splits"]))
