"""Draw a net as SVG: boxes for layers, arrows for blobs.

In-place layers are in one box with the layer whose blob they modify. Boxes are ranked by their longest path from an
input, ordered within a rank to reduce crossings, and moved toward the boxes they are connected to.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from prototxt_like.net.inputs import DATA_TYPES
from prototxt_like.tools.summary import LayerSummary

LINE = 16  # height of a line of text, in pixels
CHARACTER = 6.9  # mean width of a character of 12 px
GAP_X, GAP_Y, MARGIN = 28, 46, 24
SWEEPS = 8

_STYLE = (
    "text{font:12px Helvetica,Arial,sans-serif;fill:#1b1f24}.small{font-size:10.5px;fill:#57606a}"
    ".box{stroke:#57606a;stroke-width:1}.edge{fill:none;stroke:#57606a;stroke-width:1.2}"
)
#: Fill color by layer category.
_COLORS = {"input": "#ddf4ff", "learned": "#fff1c2", "pooling": "#e7dcff", "loss": "#ffd8d3", "other": "#f2f4f6"}
_POOLING = frozenset({"Pooling", "SPP"})


@dataclass
class _Box:
    """Layer with its in-place layers, or (without rows) a bend of a long arrow."""

    rows: list[LayerSummary] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)  # boxes that produce the bottoms
    rank: int = 0
    height: float = 0.0
    x: float = 0.0  # of the center
    y: float = 0.0  # of the upper edge

    @property
    def lines(self) -> list[str]:
        """One line per layer, and one for the shapes of the tops."""
        layers = [f"{row.name} ({row.type})" if row.name != row.type else row.name for row in self.rows]
        return [*layers, _shapes(self.rows[-1])] if self.rows and self.rows[-1].tops else layers

    @property
    def width(self) -> float:
        return max(map(len, self.lines), default=0) * CHARACTER + 20 if self.rows else 4


def draw_net(rows: Iterable[LayerSummary]) -> str:
    """Draw a net.

    Args:
        rows: Return value of ``summary``.

    Returns:
        SVG document.
    """
    boxes = _group(rows)
    ways = _bend_long_arrows(boxes)
    ranks = _order(boxes, ways)
    _place(ranks, ways, boxes)
    width = max(box.x + box.width / 2 for box in boxes) + MARGIN
    height = max(box.y + box.height for box in boxes) + MARGIN
    body = [_arrow(boxes, way) for way in ways] + [_box(box) for box in boxes if box.rows]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}">',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *body,
            "</svg>\n",
        ]
    )


def _group(rows: Iterable[LayerSummary]) -> list[_Box]:
    """Return one box per layer that produces a new blob. In-place layers are added to the box of their blob."""
    boxes: list[_Box] = []
    makers: dict[str, int] = {}
    for row in rows:
        home = makers.get(row.tops[0]) if row.tops and row.tops[0] in row.bottoms else None
        if home is not None and len(row.tops) == 1:
            boxes[home].rows.append(row)
            boxes[home].sources += [makers[name] for name in row.bottoms if makers[name] != home]
            continue
        box = _Box([row], [makers[name] for name in row.bottoms])
        box.rank = 1 + max((boxes[source].rank for source in box.sources), default=-1)
        makers.update(dict.fromkeys(row.tops, len(boxes)))
        boxes.append(box)
    return boxes


def _bend_long_arrows(boxes: list[_Box]) -> list[list[int]]:
    """Return the boxes that each arrow passes. A bend in every crossed rank reserves space for the arrow."""
    ways = []
    for target in range(len(boxes)):
        for source in dict.fromkeys(boxes[target].sources):
            through = [source]
            for rank in range(boxes[source].rank + 1, boxes[target].rank):
                through.append(len(boxes))
                boxes.append(_Box(rank=rank))
            ways.append([*through, target])
    return ways


def _order(boxes: list[_Box], ways: list[list[int]]) -> list[list[int]]:
    """Return box numbers by rank. Ranks are sorted by the mean position of their neighbors, alternately down and up."""
    ranks: list[list[int]] = [[] for _ in range(max(box.rank for box in boxes) + 1)]
    for number, box in enumerate(boxes):
        ranks[box.rank].append(number)
    above, below = _neighbors(boxes, ways)
    place = {number: float(index) for rank in ranks for index, number in enumerate(rank)}
    for sweep in range(SWEEPS):
        neighbors = above if sweep % 2 == 0 else below
        for rank in ranks if sweep % 2 == 0 else reversed(ranks):
            wanted = {number: _mean([place[other] for other in neighbors[number]], place[number]) for number in rank}
            rank.sort(key=wanted.__getitem__)
            place.update({number: float(index) for index, number in enumerate(rank)})
    return ranks


def _neighbors(boxes: list[_Box], ways: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in boxes]
    below: list[list[int]] = [[] for _ in boxes]
    for way in ways:
        for upper, lower in itertools.pairwise(way):
            above[lower].append(upper)
            below[upper].append(lower)
    return above, below


def _place(ranks: list[list[int]], ways: list[list[int]], boxes: list[_Box]) -> None:
    """Set x and y of every box."""
    y = float(MARGIN)
    for rank in ranks:
        for number in rank:
            boxes[number].height = len(boxes[number].lines) * LINE + 12 if boxes[number].rows else 0.0
        tallest = max(boxes[number].height for number in rank)
        for number in rank:
            if not boxes[number].rows:
                boxes[number].height = tallest
            boxes[number].y = y + (tallest - boxes[number].height) / 2
        y += tallest + GAP_Y
        _spread(boxes, rank, [0.0] * len(rank))
    above, below = _neighbors(boxes, ways)
    for sweep in range(SWEEPS):
        neighbors = above if sweep % 2 == 0 else below
        for rank in ranks if sweep % 2 == 0 else reversed(ranks):
            wanted = [_mean([boxes[other].x for other in neighbors[number]], boxes[number].x) for number in rank]
            _spread(boxes, rank, wanted)
    left = min(box.x - box.width / 2 for box in boxes)
    for box in boxes:
        box.x += MARGIN - left


def _spread(boxes: list[_Box], rank: list[int], wanted: list[float]) -> None:
    """Place the boxes of a rank near their preferred positions, in order and without overlaps."""
    places: list[float] = []
    for index, number in enumerate(rank):
        least = -1e9
        if index:
            before = boxes[rank[index - 1]]
            least = places[-1] + (before.width + boxes[number].width) / 2 + GAP_X
        places.append(max(wanted[index], least))
    shift = sum(wanted) / len(wanted) - sum(places) / len(places)  # centers the rank around the preferred positions
    for number, x in zip(rank, places, strict=True):
        boxes[number].x = x + shift


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _arrow(boxes: list[_Box], through: list[int]) -> str:
    """Return a smooth path from box to box, vertical within the ranks that it passes."""
    first, last = boxes[through[0]], boxes[through[-1]]
    ends = [(first.x, first.y + first.height)]
    for number in through[1:-1]:
        bend = boxes[number]
        ends += [(bend.x, bend.y), (bend.x, bend.y + bend.height)]
    ends.append((last.x, last.y - 1))
    path = [f"M{ends[0][0]:.1f} {ends[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(ends):
        middle = (y0 + y1) / 2
        path.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return f'<path class="edge" d="{" ".join(path)}" marker-end="url(#tip)"/>'


def _box(box: _Box) -> str:
    x, y = box.x - box.width / 2, box.y
    texts = ""
    for index, line in enumerate(box.lines):
        style = ' class="small"' if index >= len(box.rows) else ""
        baseline = y + 6 + LINE * (index + 0.75)
        texts += f'<text{style} x="{box.x:.1f}" y="{baseline:.1f}" text-anchor="middle">{escape(line)}</text>'
    return (
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="5" '
        f'fill="{_COLORS[_kind(box.rows[0])]}"/>{texts}'
    )


def _shapes(row: LayerSummary) -> str:
    """Format the shapes of a layer's tops without the batch axis, with names if there are several."""
    shapes = [" × ".join(map(str, shape[1:])) or "1" for shape in row.top_shapes]
    if len(shapes) == 1:
        return shapes[0]
    return ", ".join(f"{name} {shape}" for name, shape in zip(row.tops, shapes, strict=False))


def _kind(row: LayerSummary) -> str:
    if row.type == "Input" or row.type in DATA_TYPES:
        return "input"
    if row.type.endswith("Loss"):
        return "loss"
    if row.type in _POOLING:
        return "pooling"
    return "learned" if row.parameters else "other"
