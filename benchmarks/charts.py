"""Bar charts for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FER_LMDB_COLOR, OTHER_COLOR = "#1f77b4", "#b0b6bd"


def bars(target: Path, title: str, values: Mapping[str, float], number: str = "{:,.0f}") -> str:
    """Draw one bar per name, with those of fer-lmdb highlighted.

    Args:
        target: PNG file in a folder next to the page.
        title: Quantity and unit.
        values: Value by name; names of this project start with "fer-lmdb".
        number: Format of the values.

    Returns:
        Markdown of the image for a page one folder up.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 0.7 + 0.34 * len(values)), layout="constrained")
    colors = [FER_LMDB_COLOR if name.startswith("fer-lmdb") else OTHER_COLOR for name in values]
    drawn = axes.barh(list(values), list(values.values()), color=colors)
    axes.bar_label(drawn, labels=[number.format(value) for value in values.values()], padding=4)
    axes.set_title(title, loc="left", fontsize=11)
    axes.invert_yaxis()
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.margins(x=0.12)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)
    plt.close(figure)
    return f"![{title}]({target.parent.name}/{target.name})"
