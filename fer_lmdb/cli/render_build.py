"""Progress and results of ``build`` and ``join``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lmdb.cli.console import emit, next_command, note, out_console, print_full_table
from fer_lmdb.data.manifest import UNREADABLE_NAME

if TYPE_CHECKING:
    from fer_lmdb.runtime.progress import ProgressCallback

ROWS = {
    "count": "faces",
    "detected": "aligned",
    "unaligned": "unaligned",
    "dropped": "no face, dropped",
    "unlabeled": "no class, skipped",
    "unreadable": "invalid",
}


def show_progress(bar: Any) -> ProgressCallback:
    """Return a callback that shows each stage as a line of a progress bar."""
    lines: dict[str, Any] = {}

    def show(stage: str, done: int, total: int | None) -> None:
        if stage not in lines:
            lines[stage] = bar.add_task(stage, total=None, note="")
        speed = next(task.speed for task in bar.tasks if task.id == lines[stage])
        bar.update(lines[stage], completed=done, total=total, note=f"{speed:,.0f}/s" if speed else "")

    return show


def print_dataset(manifest: dict[str, Any], folder: Path, seconds: float, *, as_json: bool, images_only: bool) -> None:
    """Print the counts of a data set and the next command.

    Args:
        manifest: The manifest, or its part that `write_images` returns.
        folder: Folder of the data set or of the images.
        seconds: Duration of the command.
        as_json: Print a JSON document instead.
        images_only: Whether the folder contains images only.
    """
    if exchanged := manifest["source"].get("exchanged_classes"):
        found = ", ".join(f'"{label}" is mostly {voted}' for label, voted in exchanged.items())
        note(f"Warning: the labels contradict FER+'s votes: {found}; check the order of the classes")
    if as_json:
        emit({"images" if images_only else "data": str(folder), "seconds": round(seconds, 2), **manifest})
        return
    console = out_console()
    print_full_table(counts_table(manifest), console)
    rows = manifest["source"]["rows"]
    console.print(f"{rows:,} images in {seconds:.1f} s ({rows / seconds:,.0f} images/s): {folder}", highlight=False)
    if random := manifest["source"].get("random_splits"):
        note(
            f"random splits {random['ratio']}, seed {random['seed']};"
            f" {random['near_duplicates']:,} near-duplicates were kept in one split each"
        )
    if (folder / UNREADABLE_NAME).is_file():
        note(f"{manifest['unreadable']:,} invalid samples were skipped; see {folder / UNREADABLE_NAME}")
    if not images_only:
        next_command("train", "--epochs", "150", "--data", str(folder))


def counts_table(manifest: dict[str, Any]) -> Any:
    """Return a table with one column per split: counts by state, then faces per class."""
    from rich.table import Table

    splits = manifest["splits"]
    table = Table("")
    for split in splits:
        table.add_column(split, justify="right")
    for key, title in ROWS.items():
        if key == "count" or any(counts[key] for counts in splits.values()):
            table.add_row(title, *(f"{counts[key]:,}" for counts in splits.values()))
    if any(counts["detected"] for counts in splits.values()):
        table.add_row("detection rate", *(f"{detection_rate(counts):.1%}" for counts in splits.values()))
    table.add_section()
    for label, name in enumerate(manifest["classes"]):
        table.add_row(f"{label} {name}", *(f"{counts['per_class'][name]:,}" for counts in splits.values()))
    return table


def detection_rate(counts: dict[str, Any]) -> float:
    """Return the fraction of a split's images with a detected face."""
    images = counts["count"] + counts["dropped"]
    return counts["detected"] / images if images else 0.0
