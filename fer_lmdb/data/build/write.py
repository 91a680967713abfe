"""Write databases, mean image, detections, invalid samples and manifest, and verify them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2

from fer_lmdb.data.build.collect import Collector
from fer_lmdb.data.build.mean import MeanAccumulator
from fer_lmdb.data.build.options import BuildOptions
from fer_lmdb.data.build.spool import Spool, SpoolEntry
from fer_lmdb.data.detections import append_detections, append_dropped
from fer_lmdb.data.manifest import (
    CONTACT_SHEET_NAME,
    FORMAT,
    MEAN_NAME,
    UNREADABLE_NAME,
    database,
    file_sha256,
    shard,
    shards,
    votes_database,
    write_manifest,
)
from fer_lmdb.data.sources import InvalidSample, numbering
from fer_lmdb.data.sources.ferplus import FerPlusSource
from fer_lmdb.data.sources.random_splits import RandomSplits
from fer_lmdb.errors import DataSetError
from fer_lmdb.io.images import write_image
from fer_lmdb.runtime.progress import ProgressCallback, report_progress
from fer_lmdb.visualization.class_sheet import ClassSheet
from prototxt_like.io.datum_store import LmdbWriter, digest, encode_votes


def write_dataset(collected: Collector, folder: Path, progress: ProgressCallback) -> dict[str, Any]:
    """Write everything into the folder, the manifest last.

    Returns:
        Manifest.
    """
    splits: dict[str, Any] = {}
    for split, spool in collected.spools.items():
        if len(spool):
            digests = write_split(split, spool, folder, collected.options, progress)
            splits[split] = collected.counts[split].to_dict() | digests
    if collected.dropped:
        append_dropped(folder, collected.dropped)
    write_invalid(folder, collected.invalid)
    manifest = build_manifest(collected, folder) | {"splits": splits}
    write_manifest(folder, manifest)
    return manifest


def build_manifest(collected: Collector, folder: Path) -> dict[str, Any]:
    """Return the manifest without its splits."""
    options = collected.options
    preprocessing = options.preprocessing
    return {
        "format": FORMAT,
        "scheme": options.label_scheme.name,
        "classes": list(options.label_scheme.classes),
        "size": preprocessing.size,
        "channels": preprocessing.channels,
        "detector": preprocessing.detector,
        "align": preprocessing.align if preprocessing.detector != "none" else None,
        "preprocessing": preprocessing.to_dict(),
        "on_no_face": options.on_no_face,
        "seed": options.seed,
        "encoding": options.encoding,
        "opencv": cv2.__version__,  # versions differ in the rounding of warped pixels
        "source": describe_source(collected),
        "mean": {"file": MEAN_NAME, "sha256": file_sha256(folder / MEAN_NAME)},
        "unreadable": len(collected.invalid),
    }


def describe_source(collected: Collector) -> dict[str, Any]:
    """Return the manifest's entry about the source."""
    source = collected.source
    order = numbering(source)
    described = {"name": source.name, "sha256": source.sha256(), "rows": collected.rows}
    if order is not None:
        described["label_order"] = str(order)
    if isinstance(source, RandomSplits):
        described["random_splits"] = source.summary
    if isinstance(source, FerPlusSource) and (exchanged := source.label_check.exchanged()):
        described["exchanged_classes"] = exchanged
    return described


def write_split(
    split: str, spool: Spool, folder: Path, options: BuildOptions, progress: ProgressCallback
) -> dict[str, Any]:
    """Write the databases and detections of one split, and mean image and contact sheet for the train split.

    Returns:
        Digests for the manifest.
    """
    paths = [database(folder, split)]
    if options.shards is not None:
        count = min(options.shards, len(spool))
        paths = [shard(folder, split, number, count) for number in range(count)]
    sheet = ClassSheet(options.label_scheme.classes)
    mean = MeanAccumulator(spool.size, spool.channels)
    sha256, databases = write_databases(split, paths, spool, mean, sheet, options, progress)
    if split == "train":
        mean.write(folder / MEAN_NAME)
        write_image(folder / CONTACT_SHEET_NAME, sheet.draw(split))
    if options.preprocessing.detector != "none":
        append_detections(folder, split, ((entry.name, entry.detection or {}) for entry in spool.entries()))
    faces = {"file_sha256": databases[0]["file_sha256"]} if options.shards is None else {"shards": databases}
    return {"sha256": sha256, **faces, **write_votes(votes_database(folder, split), spool.entries())}


def write_databases(
    split: str,
    paths: list[Path],
    spool: Spool,
    mean: MeanAccumulator,
    sheet: ClassSheet,
    options: BuildOptions,
    progress: ProgressCallback,
) -> tuple[str, list[dict[str, Any]]]:
    """Write the faces of a split to databases of equal size; the first ones hold one more if needed.

    Keys are numbered across the databases, so that shards hold the records of the unsharded database.

    Args:
        split: Name of the split.
        paths: Folders of the databases.
        spool: Shuffled faces.
        mean: Accumulates the faces.
        sheet: Collects faces of each class.
        options: Build options.
        progress: Called with the number of faces written.

    Returns:
        Digest of all records, and count and digests of each database.
    """
    faces = zip(spool.entries(), spool.faces(), strict=True)
    total, databases = hashlib.sha256(), []
    for number, path in enumerate(paths):
        size = len(spool) // len(paths) + (number < len(spool) % len(paths))
        with LmdbWriter(path, options.encoding, first=mean.count, total=total) as writer:
            for entry, face in islice(faces, size):
                writer.append(entry.name, face, entry.label)
                mean.add(face)
                sheet.add(face, entry.label)
                report_progress(progress, f"write {split}", mean.count, len(spool))
        file_digest = file_sha256(path / "data.mdb")
        databases.append({"count": writer.count, "sha256": writer.sha256, "file_sha256": file_digest})
    return total.hexdigest(), databases


def write_votes(path: Path, entries: Iterator[SpoolEntry]) -> dict[str, str]:
    """Write FER+ votes under the keys of their faces; nothing if there are none.

    Returns:
        Digests for the manifest.
    """
    first = next(entries)
    if first.votes is None:
        return {}
    votes = ((entry.name, encode_votes(entry.votes or (), entry.label)) for entry in chain([first], entries))
    return write_votes_database(path, votes)


def write_votes_database(path: Path, records: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Write names and encoded votes to a database.

    Returns:
        Digests for the manifest.
    """
    with LmdbWriter(path) as writer:
        for name, value in records:
            writer.append_value(name, value)
    return {"votes_sha256": writer.sha256, "votes_file_sha256": file_sha256(path / "data.mdb")}


def write_invalid(folder: Path, samples: list[InvalidSample]) -> None:
    """List invalid samples, one JSON object per line; no file if there are none."""
    if samples:
        lines = [json.dumps({"where": each.location, "split": each.split, "reason": each.reason}) for each in samples]
        (folder / UNREADABLE_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def verify_dataset(folder: Path, manifest: dict[str, Any], progress: ProgressCallback) -> None:
    """Read all databases and compare them with the manifest.

    Raises:
        DataSetError: If a database differs from what was written.
    """
    total = sum(counts["count"] for counts in manifest["splits"].values())
    done = 0
    for split, counts in manifest["splits"].items():
        if digest(*(part.path for part in shards(folder, manifest, split))) != counts["sha256"]:
            raise DataSetError(f"{split}_lmdb differs from what was written; check the disk and the memory")
        done += counts["count"]
        progress("check", done, total)
