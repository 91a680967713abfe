"""Tests for layer summaries and drawings of nets."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import torch

import prototxt_like as pl

TEXT = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 dim: 10 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 group: 2 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
        convolution_param { num_output: 5 kernel_size: 2 stride: 2 bias_term: false } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 7 } }
layer { name: "ip2" type: "InnerProduct" bottom: "up" top: "ip2" inner_product_param { num_output: 3 axis: 2 } }
layer { name: "one" type: "InnerProduct" bottom: "ip" top: "one" param { name: "w" }
        inner_product_param { num_output: 7 } }
layer { name: "two" type: "InnerProduct" bottom: "ip" top: "two" param { name: "w" }
        inner_product_param { num_output: 7 } }
layer { name: "cut<&>" type: "Slice" bottom: "ip" top: "p" top: "q" slice_param { slice_point: 2 } }
"""


def rows() -> dict[str, pl.LayerSummary]:
    return {row.name: row for row in pl.summary(pl.Net(pl.parse_net(TEXT)))}


@pytest.mark.parametrize(
    ("name", "shapes", "parameters", "statistics", "multiply_adds", "memory"),
    [
        ("in", [(2, 6, 10, 8)], 0, 0, 0, 4 * 6 * 10 * 8),
        # 4 outputs x 3 inputs of the group x 9, at each of 8 x 6 positions
        ("conv", [(2, 4, 8, 6)], 4 * 3 * 9 + 4, 0, 4 * 3 * 9 * 8 * 6, 4 * 4 * 8 * 6),
        ("bn", [(2, 4, 8, 6)], 0, 9, 0, 0),
        # every input position is multiplied by 5 outputs x 4
        ("up", [(2, 5, 16, 12)], 4 * 5 * 4, 0, 4 * 8 * 6 * 5 * 4, 4 * 5 * 16 * 12),
        ("ip", [(2, 7)], 7 * 192 + 7, 0, 7 * 192, 28),
        # one matrix for each of the 5 rows of axis 1
        ("ip2", [(2, 5, 3)], 3 * 192 + 3, 0, 5 * 3 * 192, 60),
        ("one", [(2, 7)], 56, 0, 49, 28),
        ("two", [(2, 7)], 7, 0, 49, 28),
        ("cut<&>", [(2, 2), (2, 5)], 0, 0, 0, 28),
    ],
)
def test_row(
    name: str, shapes: list[tuple[int, ...]], parameters: int, statistics: int, multiply_adds: int, memory: int
) -> None:
    row = rows()[name]
    assert list(row.top_shapes) == shapes
    assert (row.parameters, row.statistics, row.multiply_adds, row.memory) == (
        parameters,
        statistics,
        multiply_adds,
        memory,
    )


def test_parameters_sum_up_to_those_of_the_net() -> None:
    net = pl.Net(pl.parse_net(TEXT))
    assert sum(row.parameters for row in pl.summary(net)) == sum(blob.numel() for blob in net.parameters())


def test_no_memory_is_needed() -> None:
    with torch.device("meta"):
        net = pl.Net(pl.parse_net(TEXT))
    assert all(blob.is_meta for blobs in net.params.values() for blob in blobs)
    assert pl.summary(net) == pl.summary(pl.Net(pl.parse_net(TEXT)))


class TestDrawing:
    def svg(self) -> ElementTree.Element:
        return ElementTree.fromstring(pl.draw_net(pl.summary(pl.Net(pl.parse_net(TEXT)))))

    def boxes(self) -> list[tuple[float, float, float, float]]:
        names = ("x", "y", "width", "height")
        rects = [found for found in self.svg().iter("{http://www.w3.org/2000/svg}rect") if found.get("class") == "box"]
        return [tuple(float(rect.get(name, "nan")) for name in names) for rect in rects]

    def test_every_layer_and_shape_is_labeled(self) -> None:
        texts = {found.text for found in self.svg().iter("{http://www.w3.org/2000/svg}text")}
        for row in rows().values():
            assert f"{row.name} ({row.type})" in texts
        assert {"6 × 10 × 8", "5 × 16 × 12", "p 2, q 5"} <= texts

    def test_in_place_layers_are_in_one_box(self) -> None:
        assert len(self.boxes()) == len(rows()) - 1

    def test_one_arrow_per_reader(self) -> None:
        arrows = [
            found for found in self.svg().iter("{http://www.w3.org/2000/svg}path") if found.get("class") == "edge"
        ]
        assert len(arrows) == 7
        assert all(arrow.get("marker-end") for arrow in arrows)

    def test_boxes_are_inside_and_do_not_overlap(self) -> None:
        svg, boxes = self.svg(), self.boxes()
        width, height = float(svg.get("width", "0")), float(svg.get("height", "0"))
        for x, y, w, h in boxes:
            assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
        for index, (x, y, w, h) in enumerate(boxes):
            for x2, y2, w2, h2 in boxes[:index]:
                assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y

    def test_arrows_go_down(self) -> None:
        for found in self.svg().iter("{http://www.w3.org/2000/svg}path"):
            if found.get("class") == "edge":
                numbers = [float(number) for number in re.findall(r"-?[\d.]+", found.get("d", ""))]
                assert numbers[-1] > numbers[1]
