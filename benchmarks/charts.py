"""The bar charts of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

OURS, THEIRS = "#1f77b4", "#b0b6bd"


def bars(target: Path, title: str, values: Mapping[str, float], number: str = "{:,.0f}") -> str:
    """Draw one bar for each name; those of this project stand out.

    Args:
        target: PNG file below the page's folder.
        title: what is measured, and its unit.
        values: by name; our own begin with "fer-lmdb".
        number: how a value is written.

    Returns:
        the Markdown that shows the chart on a page one folder up.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 0.7 + 0.34 * len(values)), layout="constrained")
    colors = [OURS if name.startswith("fer-lmdb") else THEIRS for name in values]
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
