"""Tests for batch sizes other than that of the build, supported and unsupported."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import prototxt_like as pl
from prototxt_like.net import reshape


def blob(name: str, *dims: int) -> str:
    sizes = " ".join(f"dim: {size}" for size in dims)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {sizes} }} }} }} '


def layer(name: str, kind: str, bottom: str, more: str = "", top: str | None = None) -> str:
    bottoms = " ".join(f'bottom: "{name}"' for name in bottom.split())
    tops = " ".join(f'top: "{name}"' for name in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {more} }} '


def net(*layers: str, phase: str = "TEST", **settings: object) -> pl.Net:
    return pl.Net(pl.parse_net(" ".join(layers)), phase=phase, **settings)


X, LABEL = blob("x", 4, 3), blob("label", 4)


@pytest.mark.parametrize(
    ("layers", "shapes", "message"),
    [
        (X + LABEL + layer("a", "Accuracy", "x label"), [(4, 3), (1,)], "need 4 labels, found 1 in 1"),
        (X + LABEL + layer("a", "SoftmaxWithLoss", "x label"), [(4, 3), (2,)], "bottom 0 is 4 x 3, bottom 1 is 2"),
        (X + LABEL + layer("a", "HingeLoss", "x label"), [(5, 3), (4,)], "bottom 0 is 5 x 3, bottom 1 is 4"),
        (X + blob("y", 4, 3) + layer("a", "EuclideanLoss", "x y"), [(4, 3), (1, 3)], "need the same first axis"),
        (X + blob("y", 4, 3) + layer("a", "Eltwise", "x y"), [(4, 3), (1, 3)], "must have the same shape"),
        (X + blob("y", 4, 2) + layer("a", "Concat", "x y"), [(2, 3), (4, 2)], "may differ in axis 1 only"),
        (X + layer("a", "Reshape", "x", "reshape_param { shape { dim: 2 dim: 6 } }"), [(6, 3)], "18 values"),
        (X + layer("a", "Slice", "x", "slice_param { axis: 0 }", top="p q"), [(5, 3)], "into 2 equal tops"),
        (X + layer("a", "Slice", "x", "slice_param { axis: 0 slice_point: 2 }", top="p q"), [(2, 3)], "of size 2"),
        (
            X + layer("a", "InnerProduct", "x", "inner_product_param { num_output: 2 axis: 0 }"), [(6, 3)],
            "inputs of these sizes need a blob 0 of 2 x 18, but the net was built with 2 x 12; "
            "build the net with these input_shapes",
        ),
        (X + layer("a", "Bias", "x", "bias_param { axis: 0 }"), [(6, 3)], "need a blob 0 of 6, but .* with 4"),
    ],
)  # fmt: skip
def test_unsupported_sizes(layers: str, shapes: list[tuple[int, ...]], message: str) -> None:
    it = net(layers, phase="TRAIN")
    for _ in range(2):  # repeated calls fail as well
        with pytest.raises(pl.ShapeMismatch, match=message) as caught:
            it(*map(torch.zeros, shapes))
        assert str(caught.value).startswith('layer "a" (')


def test_explicit_slice_points_of_the_batch_do_not_move() -> None:
    it = net(X + layer("a", "Slice", "x", "slice_param { axis: 0 slice_point: 2 }", top="p q"))
    assert [len(top) for top in it(torch.zeros(6, 3)).values()] == [2, 4]


def test_classes_along_the_first_axis_are_counted_per_batch() -> None:
    it = net(X, blob("label", 3), layer("a", "Accuracy", "x label", "accuracy_param { axis: 0 }"))
    scores = torch.eye(6)[:, [5, 4, 0]]
    assert it(scores, torch.tensor([5.0, 4, 1]))["a"] == pytest.approx(2 / 3)


def test_an_unread_input_is_optional_and_may_have_any_batch_size() -> None:
    it = net(X, LABEL, layer("a", "ReLU", "x"))
    assert it(x=torch.zeros(7, 3))["a"].shape == (7, 3)
    assert it(x=torch.zeros(7, 3), label=torch.zeros(2))["a"].shape == (7, 3)


def test_layers_are_checked_once_per_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(reshape, "build_graph", lambda *args: asked.append(args[2]) or build_graph(*args))
    it = net(X, layer("a", "InnerProduct", "x", "inner_product_param { num_output: 2 }"))
    for size in (4, 9, 4, 9, 1, 1):
        assert it(torch.zeros(size, 3))["a"].shape == (size, 2)
    assert asked == [{"x": (9, 3)}, {"x": (1, 3)}]


build_graph = reshape.build_graph


def test_the_check_draws_no_random_numbers_and_reads_no_files(tmp_path: Path) -> None:
    pl.write_binary(pl.array_to_blob(torch.eye(3).numpy()), tmp_path / "h")
    it = net(
        X, LABEL,
        layer("drawn", "DummyData", "", 'dummy_data_param { shape { dim: 2 } data_filler { type: "uniform" } }'),
        layer("ip", "InnerProduct", "x", 'inner_product_param { num_output: 3 weight_filler { type: "xavier" } }'),
        layer("loss", "InfogainLoss", "ip label", f'infogain_loss_param {{ source: "{tmp_path}/h" }}'),
    )  # fmt: skip
    (tmp_path / "h").unlink()
    weights, before = it.params["ip"][0].clone(), torch.get_rng_state()
    it._check_shapes(((6, 3), (6,)))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(it.params["ip"][0], weights)
    assert it(torch.zeros(6, 3), torch.zeros(6))["loss"] > 0


def test_max_values_does_not_limit_the_callers_batches() -> None:
    it = net(X, layer("a", "Tile", "x", "tile_param { tiles: 10 }"), max_values=300)
    assert it(torch.zeros(11, 3))["a"].shape == (11, 30)


def test_copies_check_shapes() -> None:
    it = net(X, LABEL, layer("a", "SoftmaxWithLoss", "x label"), phase="TRAIN")
    for other in (copy.deepcopy(it), pickle.loads(pickle.dumps(it))):
        assert other(torch.zeros(6, 3), torch.zeros(6))["a"] > 0
        with pytest.raises(pl.ShapeMismatch, match='layer "a"'):
            other(torch.zeros(6, 3), torch.zeros(5))


@pytest.mark.filterwarnings("ignore")
def test_jit_trace_skips_the_check() -> None:
    it = net(X, layer("a", "InnerProduct", "x", "inner_product_param { num_output: 2 }"))
    traced = torch.jit.trace(it, torch.zeros(5, 3), strict=False)
    assert traced(torch.zeros(6, 3))["a"].shape == (6, 2)


def test_symbolic_tracing_skips_the_check() -> None:
    it = net(X, layer("a", "InnerProduct", "x", "inner_product_param { num_output: 2 }"))
    traced = make_fx(lambda x: it(x)["a"], tracing_mode="symbolic", _allow_non_fake_inputs=True)(torch.zeros(5, 3))
    assert traced(torch.zeros(6, 3)).shape == (6, 2)


def test_function_transforms() -> None:
    """The check works under torch.func, although it wraps tensors."""
    it = net(X, layer("a", "InnerProduct", "x", "inner_product_param { num_output: 2 }"))
    assert torch.func.vmap(lambda x: it(x)["a"])(torch.zeros(7, 5, 3)).shape == (7, 5, 2)
    with torch.inference_mode():
        assert it(torch.zeros(6, 3))["a"].shape == (6, 2)
    assert torch.func.grad(lambda x: it(x)["a"].sum())(torch.zeros(7, 3)).shape == (7, 3)


class TestEmptyBatch:
    def test_a_deployed_net_returns_no_rows(self) -> None:
        it = net(
            X, layer("bn", "BatchNorm", "x"),
            layer("ip", "InnerProduct", "bn", "inner_product_param { num_output: 2 }"),
            layer("shaped", "Reshape", "ip", "reshape_param { shape { dim: 0 dim: 1 dim: 2 } }"),
            layer("cut", "Slice", "x", "slice_param { axis: 0 }", top="p q"),
        )  # fmt: skip
        assert [tuple(top.shape) for top in it(torch.zeros(0, 3)).values()] == [(0, 1, 2), (0, 3), (0, 3)]

    @pytest.mark.parametrize(
        ("kind", "second", "more"),
        [
            ("SoftmaxWithLoss", (4,), ""),
            ("SoftmaxWithLoss", (4,), "loss_param { normalization: FULL }"),
            ("SoftmaxWithLoss", (4,), "loss_param { normalization: BATCH_SIZE }"),
            ("HingeLoss", (4,), ""),
            ("MultinomialLogisticLoss", (4,), ""),
            ("EuclideanLoss", (4, 3), ""),
            ("SigmoidCrossEntropyLoss", (4, 3), ""),
        ],
    )
    def test_loss_is_0(self, kind: str, second: tuple[int, ...], more: str) -> None:
        it = net(X, blob("y", *second), layer("loss", kind, "x y", more), phase="TRAIN")
        assert it(torch.zeros(0, 3), torch.zeros(0, *second[1:]))["loss"] == 0

    def test_loss_of_pairs_is_0(self) -> None:
        it = net(X, blob("y", 4, 3), LABEL, layer("loss", "ContrastiveLoss", "x y label"), phase="TRAIN")
        assert it(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0))["loss"] == 0

    def test_with_labels_is_rejected(self) -> None:
        it = net(X, LABEL, layer("a", "SoftmaxWithLoss", "x label"), phase="TRAIN")
        with pytest.raises(pl.ShapeMismatch, match="bottom 0 is 0 x 3, bottom 1 is 4"):
            it(torch.zeros(0, 3), torch.zeros(4))

    def test_no_size_can_be_inferred(self) -> None:
        it = net(X, layer("a", "Reshape", "x", "reshape_param { shape { dim: 0 dim: -1 } }"))
        with pytest.raises(pl.ShapeMismatch, match="0 values, which do not match"):
            it(torch.zeros(0, 3))
