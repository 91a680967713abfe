"""What `inspect` prints for people: facts in a line each, lists as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fer_lmdb.cli.console import print_whole
from fer_lmdb.cli.render_evaluation import warnings

if TYPE_CHECKING:
    from rich.console import Console

PROBLEMS_SHOWN = 20
RANGE = ("lowest", "highest")


def show(document: dict[str, Any], console: Console) -> None:
    """Print a document of `fer_lmdb.inspection`."""
    console.print(f"{document['kind']}  {document['path']}", style="bold", markup=False, highlight=False)
    {
        "data set": show_data_set,
        "database": show_database,
        "mean": show_mean,
        "prototxt": show_prototxt,
        "caffemodel": show_blobs,
        "model": show_model,
        "run": show_run,
    }[document["kind"]](document, console)
    if "duplicates" in document:
        show_duplicates(document["duplicates"], console)
    show_problems(document, console)


def lines(console: Console, facts: dict[str, Any]) -> None:
    """Print facts, a name and a value in a line; those without a value are left out."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value is not None and value != "":
            console.print(f"  {name:{width}}  {value}", markup=False, highlight=False, soft_wrap=True)


def table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Print a table; the first `left` columns hold words, the others numbers."""
    from rich.table import Table
    from rich.text import Text

    sheet = Table()
    for number, name in enumerate(columns):
        sheet.add_column(name, justify="left" if number < left else "right")
    for row in rows:
        sheet.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    print_whole(sheet, console)


def show_data_set(document: dict[str, Any], console: Console) -> None:
    """Print how a data set was built and what its splits hold."""
    source, splits = document["source"], document["splits"]
    facts = {
        "source": f"{source['name']}, {source['rows']:,} rows, sha256 {source['sha256'][:16]}",
        "scheme": f"{document['scheme']}: {', '.join(document['classes'])}",
        "faces": f"{document['size']} x {document['size']}, {document['encode']}, seed {document['seed']}",
        "detector": f"{document['detector']}, aligned by {document['align'] or '-'}, misses: {document['on_miss']}",
        "built with": f"OpenCV {document['opencv']}" if document.get("opencv") else None,
        "unreadable": document["unreadable"] or None,
    }
    lines(console, facts)
    keys = {"count": "faces", "detected": "aligned", "kept_unaligned": "as they are", "dropped": "dropped"}
    rows = [[words, *(facts[key] for facts in splits.values())] for key, words in keys.items()]
    rows += [[name, *(facts["per_class"][name] for facts in splits.values())] for name in document["classes"]]
    table(console, ["", *splits], rows)


def show_database(document: dict[str, Any], console: Console) -> None:
    """Print what a database holds."""
    facts = {
        "records": f"{document['records']:,} in {document['bytes'] / 1e6:,.1f} MB",
        "keys": f"{document['first_key']} ... {document['last_key']}" if document["records"] else None,
        "pictures": ", ".join(f"{size} ({count:,})" for size, count in document["sizes"].items()),
        "encoding": ", ".join(f"{name} ({count:,})" for name, count in document["encodings"].items()),
    }
    lines(console, facts)
    table(console, ["label", "records"], [[str(label), count] for label, count in document["per_label"].items()])


def show_mean(document: dict[str, Any], console: Console) -> None:
    """Print the range of a mean image."""
    shape = " x ".join(map(str, document["shape"]))
    values = f"{document['lowest']:.2f} to {document['highest']:.2f}, mean {document['mean']:.2f}"
    lines(console, {"shape": shape, "values": values})


def show_prototxt(document: dict[str, Any], console: Console) -> None:
    """Print a net's layers or a solver's fields."""
    if document["what"] == "solver":
        lines(console, {name: short(value) for name, value in document["fields"].items()})
        rates = [[int(place), f"{rate:.4g}"] for place, rate in document["rates"].items()]
        table(console, ["iteration", "rate"], rates, left=0)
        return
    phase, facts = next(iter(document["phases"].items()))
    lines(
        console,
        {
            "name": document["name"],
            "phases": " ".join(document["phases"]) + f"; {phase} is shown",
            "inputs": ", ".join(f"{name} {shape_text(shape)}" for name, shape in facts["inputs"].items()),
            "outputs": ", ".join(facts["outputs"]),
            "loads in Caffe": "yes" if document["pure_caffe"] else "no, it uses fields of ours",
        },
    )
    rows = [
        [
            row["name"],
            row["type"],
            ", ".join(map(shape_text, row["top_shapes"])),
            row["parameters"],
            row["multiply_adds"],
        ]
        for row in facts["layers"]
    ]
    total = ["total", "", f"{facts['memory'] / 1e6:.2f} MB", facts["parameters"], facts["multiply_adds"]]
    table(console, ["layer", "type", "top", "parameters", "multiply-adds"], [*rows, total], left=3)


def show_blobs(document: dict[str, Any], console: Console) -> None:
    """Print the blobs of a caffemodel or model."""
    lines(console, {"name": document.get("name"), "parameters": f"{document['parameters']:,}"})
    rows = [
        [row["name"], row["type"], shape_text(row["shape"]), row["values"], *(f"{row[key]:.3g}" for key in RANGE)]
        for row in document["blobs"]
    ]
    table(console, ["blob", "type", "shape", "values", *RANGE], rows, left=3)


def show_model(document: dict[str, Any], console: Console) -> None:
    """Print what a model file is and what it was measured at."""
    preprocessing = document["preprocessing"]
    figures = document["metadata"].get("evaluations") or []
    lines(
        console,
        {
            "net": document["net"],
            "classes": f"{document['scheme']}: {', '.join(document['classes'])}",
            "file": f"{document['bytes'] / 1e6:,.1f} MB",
            "mean": shape_text(document["mean"]) if document["mean"] else "none",
            "faces": f"{preprocessing['size']} x {preprocessing['size']}, detector {preprocessing['detector']}",
            "figures": "; ".join(format_evaluation(figure) for figure in figures) or "none",
        },
    )
    show_blobs(document, console)


def show_run(document: dict[str, Any], console: Console) -> None:
    """Print how far a run came and what it reached."""
    best, last = document["best"], document["last"]
    lines(
        console,
        {
            "model": short(document["config"].get("model") or document["config"].get("options", {}).get("model")),
            "epochs": document["epochs"],
            "last": record_text(last),
            "best": record_text(best),
            "figures": "; ".join(format_evaluation(figure) for figure in document["evaluations"]) or "none",
            "files": ", ".join(document["files"]),
        },
    )


def show_duplicates(document: dict[str, Any], console: Console) -> None:
    """Print how many faces have a twin, and what that means for a test figure."""
    if document["note"]:
        console.print(f"Note: {document['note']}", highlight=False)
    for name, words in (("identical", "identical faces"), ("near", "the same photograph (identical ones included)")):
        facts = document[name]
        console.print(
            f"{words}: {facts['faces']:,} of {document['faces']:,} faces in {facts['groups']:,} groups,"
            f" the largest of {facts['largest']}",
            highlight=False,
        )
        rows = [[split, *near_duplicates.values()] for split, near_duplicates in facts["with_twin_in"].items()]
        table(console, ["faces of", *(f"twin in {split}" for split in facts["with_twin_in"])], rows)
    for split, facts in document["same_label"].items():
        if facts["with_twin"]:
            share = facts["same"] / facts["with_twin"]
            console.print(
                f"{split}: {facts['with_twin']:,} faces have a twin in train; {share:.1%} of them have its label",
                highlight=False,
            )
    if "explains" in document:
        explains = document["explains"]
        rows = [
            [words, explains[key]["n"], percent(explains[key]["accuracy"])]
            for key, words in (("all", "all"), ("with_twin", "with a twin in train"), ("without_twin", "without"))
        ]
        console.print(f"{explains['model']} on {explains['split']}:", highlight=False)
        for line in warnings(explains):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        table(console, ["faces", "n", "accuracy"], rows)


def show_problems(document: dict[str, Any], console: Console) -> None:
    """Print what a check found."""
    if "problems" not in document:
        return
    problems = document["problems"]
    for problem in problems[:PROBLEMS_SHOWN]:
        console.print(f"PROBLEM  {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"... and {len(problems) - PROBLEMS_SHOWN} more problems", highlight=False)
    if not problems:
        console.print("no problem found", style="green")


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return " x ".join(map(str, shape)) or "1"


def short(value: object) -> str:
    """Return a value as text, not too long."""
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."


def percent(share: float | None) -> str:
    """Return a share in percent."""
    return "-" if share is None else f"{share:.2%}"


def format_evaluation(figure: dict[str, Any]) -> str:
    """Return an evaluation in a few words."""
    return f"{figure['split']} {figure['accuracy']:.2%} (N = {figure['n']:,}, {figure.get('tta', 1)} views)"


def record_text(record: dict[str, Any] | None) -> str | None:
    """Return a line of a run's log in a few words."""
    if record is None:
        return None
    accuracy = record.get("val_accuracy")
    return f"epoch {record['epoch']}" + (f", validation {accuracy:.2%}" if accuracy is not None else "")
