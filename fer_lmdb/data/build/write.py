"""Write what was gathered: databases, mean image, detections, list of rejects, manifest; and read it back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.data import manifest as manifests
from fer_lmdb.data.build.collect import CollectedFaces
from fer_lmdb.data.build.options import BuildOptions, ProgressCallback
from fer_lmdb.data.build.spool import Spool, SpoolEntry
from fer_lmdb.data.lmdb_store import Encoding, LmdbWriter, digest, encode_votes, make_key
from fer_lmdb.data.sources import InvalidSample, Sample, Source
from fer_lmdb.errors import DataSetError

FaceStream = Iterator[tuple[SpoolEntry, NDArray[np.uint8]]]


def write_dataset(
    source: Source, gathered: CollectedFaces, folder: Path, options: BuildOptions, progress: ProgressCallback
) -> dict[str, Any]:
    """Write everything into the folder, the manifest last.

    Returns:
        the manifest.
    """
    splits: dict[str, Any] = {}
    for split, spool in gathered.spools.items():
        if len(spool):
            digests = write_split(split, spool, folder, options, progress)
            splits[split] = gathered.counts[split].to_dict() | digests
    if gathered.dropped:
        write_dropped(folder, gathered.dropped)
    write_rejects(folder, gathered.rejects)
    document = build_manifest(source, gathered, folder, options) | {"splits": splits}
    manifests.write_manifest(folder, document)
    return document


def build_manifest(source: Source, gathered: CollectedFaces, folder: Path, options: BuildOptions) -> dict[str, Any]:
    """Return the manifest without its splits."""
    preprocessing = options.preprocessing
    return {
        "format": manifests.FORMAT,
        "scheme": options.scheme.name,
        "classes": list(options.scheme.classes),
        "size": preprocessing.size,
        "detector": preprocessing.detector,
        "align": preprocessing.align if preprocessing.detector != "none" else None,
        "preprocessing": preprocessing.to_dict(),
        "on_miss": options.on_miss,
        "seed": options.seed,
        "encode": options.encode,
        "opencv": cv2.__version__,  # versions round the pixels of turned and scaled faces differently
        "source": describe_source(source, gathered),
        "mean": {"file": manifests.MEAN_NAME, "sha256": manifests.file_sha256(folder / manifests.MEAN_NAME)},
        "unreadable": len(gathered.rejects),
    }


def describe_source(source: Source, gathered: CollectedFaces) -> dict[str, Any]:
    """Return what the manifest says of the source."""
    return {"name": source.name, "sha256": source.sha256(), "rows": gathered.rows}


def write_split(
    split: str, spool: Spool, folder: Path, options: BuildOptions, progress: ProgressCallback
) -> dict[str, Any]:
    """Write one split's databases and detections, and the mean image where it is the train split.

    Returns:
        the digests for the manifest.
    """
    total = np.zeros((spool.size, spool.size), dtype=np.int64)
    faces = summing(zip(spool.entries(), spool.faces(), strict=True), total, split, len(spool), progress)
    if options.shards is None:
        digests = write_database(manifests.database(folder, split), faces, options.encode)
    else:
        count = min(options.shards, len(spool))
        paths = [manifests.shard(folder, split, number, count) for number in range(count)]
        digests = write_shards(paths, faces, len(spool), options.encode)
    if split == "train":
        write_mean(folder / manifests.MEAN_NAME, total, len(spool))
    if options.preprocessing.detector != "none":
        write_detections(folder, split, spool.entries())
    return digests | write_votes(manifests.votes_database(folder, split), spool.entries())


def summing(
    faces: FaceStream, total: NDArray[np.int64], split: str, count: int, progress: ProgressCallback
) -> FaceStream:
    """Yield the same faces, add each to the total and say how far the writing is."""
    for number, (entry, face) in enumerate(faces, start=1):
        total += face
        yield entry, face
        if number % 1000 == 0 or number == count:
            progress(f"write {split}", number, count)


def write_database(path: Path, faces: FaceStream, encode: Encoding) -> dict[str, Any]:
    """Write faces into one database.

    Returns:
        its digests.
    """
    with LmdbWriter(path, encode) as writer:
        for entry, face in faces:
            writer.append(entry.name, face, entry.label)
    return {"sha256": writer.sha256, "file_sha256": manifests.file_sha256(path / "data.mdb")}


def write_shards(paths: list[Path], faces: FaceStream, count: int, encode: Encoding) -> dict[str, Any]:
    """Write faces into several databases, one after the other; numbers go on, so that together they are the one.

    Args:
        paths: the databases.
        faces: all of them, in order.
        count: how many they are; every database gets the same number, the first ones one more.
        encode: how a Datum holds its picture.
    Returns:
        the digest of all records and what each shard holds.
    """
    total, shards, first = hashlib.sha256(), [], 0
    for number, path in enumerate(paths):
        size = count // len(paths) + (number < count % len(paths))
        with LmdbWriter(path, encode, first=first, total=total) as writer:
            for entry, face in islice(faces, size):
                writer.append(entry.name, face, entry.label)
        file_sha256 = manifests.file_sha256(path / "data.mdb")
        shards.append({"count": writer.count, "sha256": writer.sha256, "file_sha256": file_sha256})
        first += size
    return {"sha256": total.hexdigest(), "shards": shards}


def write_votes(path: Path, entries: Iterator[SpoolEntry]) -> dict[str, str]:
    """Write the votes of FER+ under the keys of their faces; nothing where there are none.

    Returns:
        the digests for the manifest.
    """
    first = next(entries)
    if first.votes is None:
        return {}
    with LmdbWriter(path) as writer:
        for entry in chain([first], entries):
            writer.append_value(entry.name, encode_votes(entry.votes or (), entry.label))
    return {"votes_sha256": writer.sha256, "votes_file_sha256": manifests.file_sha256(path / "data.mdb")}


def write_detections(folder: Path, split: str, entries: Iterator[SpoolEntry]) -> None:
    """Say for every key what was detected, one JSON object a line."""
    with (folder / manifests.DETECTIONS_NAME).open("a", encoding="utf-8") as file:
        for number, entry in enumerate(entries):
            key = json.dumps(os.fsdecode(make_key(number, entry.name)))
            file.write(f'{{"split": "{split}", "key": {key}, {entry.detection}}}\n')


def write_dropped(folder: Path, dropped: list[Sample]) -> None:
    """List the pictures in which no face was found and which therefore have no key."""
    with (folder / manifests.DETECTIONS_NAME).open("a", encoding="utf-8") as file:
        for sample in dropped:
            line = {"split": sample.split, "key": None, "name": sample.name, "state": "dropped"}
            file.write(json.dumps(line) + "\n")


def write_mean(path: Path, total: NDArray[np.int64], count: int) -> None:
    """Write the mean image, rounded as Caffe's compute_image_mean rounds it.

    Args:
        path: the binaryproto to write.
        total: (H, W) sum of all faces.
        count: how many faces.
    """
    mean = total.astype(np.float32) / np.float32(count)
    pl.write_mean(mean[np.newaxis], path)


def write_rejects(folder: Path, rejects: list[InvalidSample]) -> None:
    """List what could not be used, one JSON object a line; no file where there is nothing to list."""
    if rejects:
        lines = [json.dumps({"where": item.location, "split": item.split, "reason": item.reason}) for item in rejects]
        (folder / manifests.UNREADABLE_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def verify_dataset(folder: Path, document: dict[str, Any], progress: ProgressCallback) -> None:
    """Read every database again and compare it with the manifest.

    Raises:
        DataSetError: what lies on the disk is not what was written.
    """
    total = sum(facts["count"] for facts in document["splits"].values())
    done = 0
    for split, facts in document["splits"].items():
        if digest(*(part.path for part in manifests.shards(folder, document, split))) != facts["sha256"]:
            raise DataSetError(f"{split}_lmdb does not read back as it was written; is the disk or memory faulty?")
        done += facts["count"]
        progress("check", done, total)
