"""Text output of `fer-lmdb inspect`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fer_lmdb.cli.console import print_full_table
from fer_lmdb.evaluation.formatting import format_accuracy

if TYPE_CHECKING:
    from rich.console import Console

Document = dict[str, Any]

PROBLEMS_SHOWN = 20
MAX_VALUE_LENGTH = 100
RANGE = ("lowest", "highest")


def show(document: Document, console: Console) -> None:
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


def print_fields(console: Console, fields: dict[str, Any]) -> None:
    """Print names and values, one pair per line; empty values are omitted."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value is not None and value != "":
            console.print(f"  {name:{width}}  {value}", markup=False, highlight=False, soft_wrap=True)


def print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Print a table.

    Args:
        console: Console to print on.
        columns: Column headings.
        rows: Cells; integers are printed with thousands separators.
        left: Number of left-aligned columns; the others are right-aligned.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < left else "right")
    for row in rows:
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    print_full_table(table, console)


def show_data_set(document: Document, console: Console) -> None:
    """Print source, preprocessing and splits of a data set."""
    source, size, seed = document["source"], document["size"], document["seed"]
    color = " in color" if document.get("channels", 1) == 3 else ""
    print_fields(
        console,
        {
            "source": f"{source['name']}, {source['rows']:,} rows, sha256 {source['sha256'][:16]}",
            "scheme": f"{document['scheme']}: {', '.join(document['classes'])}",
            "faces": f"{size} x {size}{color}, {document['encoding']}" + ("" if seed is None else f", seed {seed}"),
            "detector": f"{document['detector']}, alignment {document['align'] or '-'}, "
            f"without a face: {document['on_no_face']}",
            "built with": f"OpenCV {document['opencv']}" if document.get("opencv") else None,
            "unreadable": document["unreadable"] or None,
        },
    )
    for line in document.get("notes", ()):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    splits = document["splits"]
    print_table(console, ["", *splits], _split_rows(document["classes"], splits))


def _split_rows(classes: Sequence[str], splits: Document) -> Iterable[list[object]]:
    headings = {"count": "faces", "detected": "aligned", "unaligned": "unaligned", "dropped": "dropped"}
    for key, heading in headings.items():
        yield [heading, *(split[key] for split in splits.values())]
    for name in classes:
        yield [name, *(split["per_class"][name] for split in splits.values())]


def show_database(document: Document, console: Console) -> None:
    """Print records, keys and labels of a database."""
    print_fields(
        console,
        {
            "records": f"{document['records']:,} in {document['bytes'] / 1e6:,.1f} MB",
            "keys": f"{document['first_key']} ... {document['last_key']}" if document["records"] else None,
            "images": _format_counts(document["sizes"]),
            "encoding": _format_counts(document["encodings"]),
        },
    )
    rows = [[str(label), count] for label, count in document["per_label"].items()]
    print_table(console, ["label", "records"], rows)


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())


def show_mean(document: Document, console: Console) -> None:
    """Print shape and range of a mean image."""
    values = f"{document['lowest']:.2f} to {document['highest']:.2f}, mean {document['mean']:.2f}"
    print_fields(console, {"shape": format_shape(document["shape"]), "values": values})


def show_prototxt(document: Document, console: Console) -> None:
    """Print the layers of a net or the fields of a solver."""
    if document["what"] == "solver":
        _show_solver(document, console)
    else:
        _show_net(document, console)


def _show_solver(document: Document, console: Console) -> None:
    print_fields(console, {name: shorten(value) for name, value in document["fields"].items()})
    rows = [[int(iteration), f"{rate:.4g}"] for iteration, rate in document["rates"].items()]
    print_table(console, ["iteration", "learning rate"], rows, left=0)


def _show_net(document: Document, console: Console) -> None:
    phase, net = next(iter(document["phases"].items()))
    print_fields(
        console,
        {
            "name": document["name"],
            "phases": f"{' '.join(document['phases'])}; {phase} is shown",
            "inputs": ", ".join(f"{name} {format_shape(shape)}" for name, shape in net["inputs"].items()),
            "outputs": ", ".join(net["outputs"]),
            "loads in Caffe": "yes" if document["pure_caffe"] else "no, it uses extensions",
        },
    )
    rows = [_layer_row(layer) for layer in net["layers"]]
    total = ["total", "", f"{net['memory'] / 1e6:.2f} MB", net["parameters"], net["multiply_adds"]]
    print_table(console, ["layer", "type", "top", "parameters", "multiply-adds"], [*rows, total], left=3)
    for note in net["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)


def _layer_row(layer: Document) -> list[object]:
    shapes = ", ".join(map(format_shape, layer["top_shapes"]))
    return [layer["name"], layer["type"], shapes, layer["parameters"], layer["multiply_adds"]]


def show_blobs(document: Document, console: Console) -> None:
    """Print the blobs of a caffemodel or model."""
    print_fields(console, {"name": document.get("name"), "parameters": f"{document['parameters']:,}"})
    rows = [
        [
            blob["name"],
            blob["type"],
            format_shape(blob["shape"]),
            blob["values"],
            *(f"{blob[key]:.3g}" for key in RANGE),
        ]
        for blob in document["blobs"]
    ]
    print_table(console, ["blob", "type", "shape", "values", *RANGE], rows, left=3)


def show_model(document: Document, console: Console) -> None:
    """Print net, classes, preprocessing, evaluations and blobs of a model."""
    preprocessing = document["preprocessing"]
    print_fields(
        console,
        {
            "net": document["net"],
            "classes": f"{document['scheme']}: {', '.join(document['classes'])}",
            "file": f"{document['bytes'] / 1e6:,.1f} MB",
            "mean": format_shape(document["mean"]) if document["mean"] else "none",
            "faces": f"{preprocessing['size']} x {preprocessing['size']}, detector {preprocessing['detector']}",
            "evaluations": format_evaluations(document["metadata"].get("evaluations") or []),
        },
    )
    show_blobs(document, console)


def show_run(document: Document, console: Console) -> None:
    """Print epochs, evaluations and files of a run."""
    config = document["config"]
    print_fields(
        console,
        {
            "model": shorten(config.get("model") or config.get("options", {}).get("model")),
            "epochs": document["epochs"],
            "last": format_epoch(document["last"]),
            "best": format_epoch(document["best"]),
            "evaluations": format_evaluations(document["evaluations"]),
            "files": ", ".join(document["files"]),
        },
    )


def show_problems(document: Document, console: Console) -> None:
    """Print the problems found by --verify."""
    if "problems" not in document:
        return
    problems = document["problems"]
    for problem in problems[:PROBLEMS_SHOWN]:
        console.print(f"PROBLEM  {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"... and {len(problems) - PROBLEMS_SHOWN} more problems", highlight=False)
    if not problems:
        console.print("no problem found", style="green")


def format_shape(shape: Sequence[int]) -> str:
    """Return a shape as text, e.g. "1 x 48 x 48"."""
    return " x ".join(map(str, shape)) or "1"


def shorten(value: object) -> str:
    """Return a value as text of at most `MAX_VALUE_LENGTH` characters."""
    text = str(value)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 3] + "..."


def format_evaluations(evaluations: Sequence[Document]) -> str:
    """Return evaluations as one line."""
    return "; ".join(map(format_evaluation, evaluations)) or "none"


def format_evaluation(result: Document) -> str:
    """Return split, accuracy, N and TTA views of an evaluation."""
    return f"{result['split']} {format_accuracy(result)}"


def format_epoch(record: Document | None) -> str | None:
    """Return epoch and validation accuracy of a record of the log."""
    if record is None:
        return None
    accuracy = record.get("val_accuracy")
    return f"epoch {record['epoch']}" + (f", validation accuracy {accuracy:.2%}" if accuracy is not None else "")
