"""Text output of `fer-lmdb inspect --duplicates`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fer_lmdb.cli.render_evaluation import caveat_lines
from fer_lmdb.cli.render_inspection import print_table

if TYPE_CHECKING:
    from rich.console import Console

Document = dict[str, Any]


def show_duplicates(document: Document, console: Console) -> None:
    """Print the audit: groups, label agreement and, if a model was evaluated, its accuracy.

    Args:
        document: Result of `fer_lmdb.inspection.duplicates.audit`.
        console: Console to print on.
    """
    if document["note"]:
        console.print(f"Note: {document['note']}", highlight=False)
    _show_groups("identical faces", document["identical"], document["faces"], console)
    _show_groups("near-duplicates (including identical faces)", document["near"], document["faces"], console)
    for line in _agreement_lines(document["same_label"]):
        console.print(line, highlight=False)
    if "evaluation" in document:
        _show_evaluation(document["evaluation"], console)


def _show_groups(title: str, groups: Document, total: int, console: Console) -> None:
    console.print(
        f"{title}: {groups['faces']:,} of {total:,} faces in {groups['groups']:,} groups, "
        f"the largest of {groups['largest']}",
        highlight=False,
    )
    table = groups["with_near_duplicate_in"]
    rows = [[split, *counts.values()] for split, counts in table.items()]
    print_table(console, ["faces of", *(f"also in {split}" for split in table)], rows)


def _agreement_lines(splits: Document) -> Iterator[str]:
    for split, counts in splits.items():
        if total := counts["with_near_duplicate"]:
            yield (
                f"{split}: {total:,} faces have a near-duplicate in train; {counts['same'] / total:.1%} of them have "
                "its label"
            )


def _show_evaluation(evaluation: Document, console: Console) -> None:
    console.print(f"{evaluation['model']} on {evaluation['split']}:", highlight=False)
    for line in caveat_lines(evaluation):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    subsets = {
        "all": "all",
        "with_near_duplicate": "with a near-duplicate in train",
        "without_near_duplicate": "without",
    }
    rows = [[words, evaluation[key]["n"], _percent(evaluation[key]["accuracy"])] for key, words in subsets.items()]
    print_table(console, ["faces", "n", "accuracy"], rows)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.2%}"
