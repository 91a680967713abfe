"""Tests for building and running nets: connections, outputs, losses, errors."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import prototxt_like as pl

INPUT = 'layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}'


def net(layers: str, *dims: int, phase: str = "TEST", **settings: object) -> pl.Net:
    """Build a net on the input x, by default 2 x 3 x 5 x 7."""
    sizes = " ".join(f"dim: {size}" for size in dims or (2, 3, 5, 7))
    return pl.Net(pl.parse_net(INPUT.format(dims=sizes) + layers), phase=phase, **settings)


def layer(name: str, kind: str, bottom: str, top: str, more: str = "") -> str:
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottom.split())
    tops = " ".join(f'top: "{blob}"' for blob in top.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {more} }}'


X = torch.arange(210, dtype=torch.float32).reshape(2, 3, 5, 7) / 100 - 1


class TestGraph:
    def test_outputs_are_the_blobs_that_no_layer_consumes(self) -> None:
        it = net(layer("a", "ReLU", "x", "a") + layer("b", "TanH", "x", "b") + layer("c", "AbsVal", "a", "c"))
        assert it.outputs == ["b", "c"]
        assert list(it(x=X)) == ["b", "c"]
        assert set(it.blobs(x=X)) == {"x", "a", "b", "c"}

    def test_an_unread_input_is_an_optional_output(self) -> None:
        it = pl.Net(
            pl.parse_net(
                'layer { type: "Input" top: "x" top: "label" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }'
                + layer("a", "ReLU", "x", "a")
            )
        )
        assert it.inputs == ["x", "label"]
        assert set(it(torch.zeros(2, 3), torch.zeros(2))) == {"a", "label"}
        assert set(it(x=torch.zeros(2, 3))) == {"a"}

    def test_in_place_layers_replace_a_blob(self) -> None:
        it = net(layer("a", "AbsVal", "x", "a") + layer("b", "Power", "a", "a", "power_param { shift: 1 }"))
        torch.testing.assert_close(it.blobs(x=X)["a"], X.abs() + 1)
        assert it.outputs == ["a"]

    def test_in_place_layers_do_not_modify_the_callers_tensor(self) -> None:
        it = net(layer("a", "ReLU", "x", "x") + layer("b", "TanH", "x", "y"))
        mine = X.clone()
        torch.testing.assert_close(it(x=mine)["y"], X.relu().tanh())
        torch.testing.assert_close(mine, X)

    def test_readers_after_an_in_place_layer_get_the_new_value(self) -> None:
        it = net(
            layer("a", "Power", "x", "a", "power_param { shift: 2 }")
            + layer("b", "Power", "a", "a", "power_param { scale: 3 }")
            + layer("c", "Power", "a", "c", "power_param { scale: 2 }")
            + layer("d", "Power", "a", "d", "power_param { scale: 0 }")
        )
        torch.testing.assert_close(it.blobs(x=X)["c"], 6 * (X + 2))

    def test_a_loss_weight_of_0_does_not_block_in_place(self) -> None:
        it = net(layer("a", "AbsVal", "x", "a", "loss_weight: 0") + layer("b", "Power", "a", "a"))
        assert it.outputs == ["a"]

    def test_several_tops_and_bottoms(self) -> None:
        it = net(
            layer("cut", "Slice", "x", "p q", "slice_param { slice_point: 1 }")
            + layer("join", "Concat", "q p", "y")
            + layer("quiet", "Silence", "p", "")
        )
        torch.testing.assert_close(it(x=X)["y"], torch.cat([X[:, 1:], X[:, :1]], 1))
        assert it.outputs == ["y"]

    def test_any_batch_size(self) -> None:
        it = net(layer("a", "InnerProduct", "x", "a", "inner_product_param { num_output: 4 }"))
        for size in (1, 2, 9):
            assert it(x=torch.zeros(size, 3, 5, 7))["a"].shape == (size, 4)

    def test_input_shapes_override_the_net(self) -> None:
        it = net(
            layer("a", "Pooling", "x", "a", "pooling_param { kernel_size: 2 stride: 2 }"),
            input_shapes={"x": (1, 3, 8, 8)},
        )
        assert it.shapes["a"] == (1, 3, 4, 4)
        assert it(torch.zeros(5, 3, 8, 8))["a"].shape == (5, 3, 4, 4)

    def test_names_that_torch_rejects(self) -> None:
        names = ["a.b", "a_b", "type", "forward", "keys", "", "x/y", "ü"]
        bottoms = ["x", *(f"t{index}" for index in range(len(names)))]
        it = net("".join(layer(name, "ReLU", bottoms[i], bottoms[i + 1]) for i, name in enumerate(names)))
        assert [found.name for found in it.caffe_layers] == names
        assert it(x=X)
        assert not list(it.state_dict())


class TestPhase:
    DROP = layer("d", "Dropout", "x", "d", "{}").replace("{}", "dropout_param { dropout_ratio: 0.5 }")

    def test_train_and_test(self) -> None:
        assert not torch.equal(net(self.DROP, phase="TRAIN")(x=X)["d"], X)
        assert torch.equal(net(self.DROP)(x=X)["d"], X)
        assert net(self.DROP, phase="TRAIN").training
        assert not net(self.DROP).training

    def test_eval_and_train_switch_the_layers(self) -> None:
        it = net(self.DROP, phase="TRAIN").eval()
        assert torch.equal(it(x=X)["d"], X)
        assert not torch.equal(it.train()(x=X)["d"], X)

    def test_a_layers_own_phase_takes_precedence(self) -> None:
        text = self.DROP.replace("type:", "phase: TEST type:")
        assert torch.equal(net(text, phase="TRAIN")(x=X)["d"], X)

    def test_rules_select_the_layers(self) -> None:
        text = layer("a", "ReLU", "x", "a", "include { stage: 'deploy' }") + layer(
            "b", "TanH", "x", "b", "exclude { min_level: 1 }"
        )
        assert net(text).outputs == ["b"]
        assert net(text, stages=["deploy"]).outputs == ["a", "b"]
        assert net(text, stages=["deploy"], level=1).outputs == ["a"]


class TestLoss:
    LABELED = (
        'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
        + layer("ip", "InnerProduct", "x", "ip", "inner_product_param { num_output: 4 }")
    )  # fmt: skip

    def test_weights(self) -> None:
        it = net(
            self.LABELED
            + layer("first", "SoftmaxWithLoss", "ip label", "first", "loss_weight: 0.3")
            + layer("second", "HingeLoss", "ip label", "second")
            + layer("acc", "Accuracy", "ip label", "acc")
            + layer("zero", "SoftmaxWithLoss", "ip label", "zero", "loss_weight: 0")
        )
        assert it.loss_weights == {"first": pytest.approx(0.3), "second": 1.0}
        outputs = it(x=X, label=torch.tensor([1, 3]))
        assert set(outputs) == {"first", "second", "acc", "zero"}
        torch.testing.assert_close(it.total_loss(outputs), 0.3 * outputs["first"] + outputs["second"])

    def test_a_loss_without_a_top_is_part_of_the_objective(self) -> None:
        it = net(self.LABELED + layer("loss", "SoftmaxWithLoss", "ip label", ""))
        outputs = it(x=X, label=torch.tensor([1, 3]))
        assert list(outputs) == ["loss"]
        assert it.total_loss(outputs) is not None

    def test_a_consumed_blob_can_be_a_loss(self) -> None:
        it = net(
            layer("a", "Power", "x", "a", "power_param { power: 2 } loss_weight: 2") + layer("b", "TanH", "a", "b")
        )
        outputs = it(x=X)
        assert set(outputs) == {"a", "b"}
        torch.testing.assert_close(it.total_loss(outputs), 2 * X.square().sum())

    def test_no_loss(self) -> None:
        it = net(layer("a", "ReLU", "x", "a"))
        with pytest.raises(pl.NetError, match='has no loss in phase TEST; build it with phase="TRAIN"'):
            it.total_loss(it(x=X))

    def test_wrong_number_of_loss_weights(self) -> None:
        with pytest.raises(pl.NetError, match='layer "a" has 2 loss_weight and 1 tops'):
            net(layer("a", "ReLU", "x", "a", "loss_weight: 1 loss_weight: 2"))


class TestGradients:
    def test_propagate_down_false_blocks_one_bottom(self) -> None:
        it = net(
            layer("a", "Power", "x", "a", "power_param { scale: 3 }")
            + layer("b", "Power", "x", "b", "power_param { scale: 5 }")
            + layer("sum", "Eltwise", "a b", "sum", "propagate_down: true propagate_down: false")
        )
        x = X.clone().requires_grad_()
        it(x=x)["sum"].sum().backward()
        assert (x.grad == 3).all()

    def test_wrong_number_of_propagate_down(self) -> None:
        with pytest.raises(pl.NetError, match='layer "sum" has 1 propagate_down and 2 bottoms'):
            net(layer("sum", "Eltwise", "x x", "sum", "propagate_down: true"))

    def test_lr_mult_0_freezes_unless_forced(self) -> None:
        ip = layer(
            "ip", "InnerProduct", "x", "ip", "param { lr_mult: 0 } param {} inner_product_param { num_output: 4 }"
        )
        assert [blob.requires_grad for blob in net(ip).params["ip"]] == [False, True]
        assert [blob.requires_grad for blob in net("force_backward: true " + ip).params["ip"]] == [True, True]
        assert [spec[1:] for spec in net(ip).learnable_params] == [(0.0, 1.0), (1.0, 1.0)]

    def test_a_blob_with_several_readers_sums_gradients(self) -> None:
        it = net(
            layer("a", "Power", "x", "a", "power_param { scale: 3 }")
            + layer("b", "Power", "a", "b", "power_param { scale: 5 }")
            + layer("c", "Eltwise", "a b a", "c")
        )
        x = X.clone().requires_grad_()
        it(x=x)["c"].sum().backward()
        torch.testing.assert_close(x.grad, torch.full_like(X, 3 + 15 + 3))


class TestErrors:
    @pytest.mark.parametrize(
        ("layers", "message"),
        [
            (
                layer("a", "ReLU", "xx", "a"),
                'layer "a" (ReLU) reads "xx", which no layer produces; did you mean "x"?',
            ),
            (
                layer("a", "ReLU", "b", "a") + layer("b", "ReLU", "a", "b"),
                'layer "a" (ReLU) reads "b", which layer "b" produces later; move that layer to the front',
            ),
            (
                layer("a", "ReLU", "a", "a"),
                'layer "a" (ReLU) reads "a", which is its own top; no earlier layer produces it',
            ),
            (
                layer("a", "ReLU", "x", "a") + layer("b", "ReLU", "x", "a"),
                'blob "a" is produced by layers "a" and "b"; rename one of the tops (only an in-place layer may write '
                "a blob that it reads)",
            ),
            (
                layer("a", "AbsVal", "x", "a") + layer("b", "TanH", "a", "b") + layer("c", "ReLU", "a", "a"),
                'layer "c" works in place on blob "a", which layer "b" also reads; rename its top',
            ),
            (
                layer("a", "AbsVal", "x", "a") + layer("b", "Eltwise", "a a", "a"),
                'layer "b" works in place on blob "a", which it reads twice; rename its top',
            ),
            (
                layer("a", "AbsVal", "x", "a", "loss_weight: 2") + layer("b", "ReLU", "a", "a"),
                'layer "b" works in place on blob "a", which has a loss_weight; rename its top',
            ),
            (layer("a", "Relu", "x", "a"), 'layer "a": unknown layer type "Relu"; did you mean "ReLU"?'),
            (layer("a", "", "x", "a"), 'layer "a" has no type'),
            (
                layer("a", "InnerProduct", "x", "a", "param {} " * 3 + "inner_product_param { num_output: 2 }"),
                'layer "a" (InnerProduct) has 3 param entries, but only 2 blobs; remove the excess entries',
            ),
        ],
    )  # fmt: skip
    def test_nets_that_cannot_be_built(self, layers: str, message: str) -> None:
        with pytest.raises(pl.NetError) as caught:
            net(layers)
        assert str(caught.value) == message

    def test_a_net_without_layers(self) -> None:
        with pytest.raises(pl.NetError, match='net "" has no layer in phase TEST'):
            pl.Net(pl.NetParameter())

    def test_input_shapes_of_an_unknown_input(self) -> None:
        with pytest.raises(pl.NetError, match='contains "dat", which is not an input of the net'):
            net(layer("a", "ReLU", "x", "a"), input_shapes={"dat": (1,)})

    def test_wrong_inputs_of_a_call(self) -> None:
        it = net(layer("a", "ReLU", "x", "a"))
        with pytest.raises(pl.NetError, match='input "x" is missing; pass all inputs of the net: x'):
            it()
        with pytest.raises(pl.NetError, match='has no input "X"; did you mean "x"'):
            it(X=X)
        with pytest.raises(pl.NetError, match="too many inputs: found 2, expected at most 1: x"):
            it(X, X)
        with pytest.raises(pl.NetError, match='input "x" is passed by position and by name'):
            it(X, x=X)
        with pytest.raises(
            pl.ShapeMismatch, match='"x" has the wrong shape: found 2 x 3 x 7 x 5, expected N x 3 x 5 x 7; for another'
        ):
            it(X.mT)
        with pytest.raises(pl.ShapeMismatch, match="3 x 5 x 7, expected N x 3 x 5 x 7"):
            it(X[0])


def test_copies_are_independent() -> None:
    it = net(
        layer("ip", "InnerProduct", "x", "ip", 'inner_product_param { num_output: 4 weight_filler { type: "xavier" } }')
    )
    for other in (copy.deepcopy(it), pickle.loads(pickle.dumps(it))):
        torch.testing.assert_close(other(x=X)["ip"], it(x=X)["ip"])
        with torch.no_grad():
            other.params["ip"][0].zero_()
        assert (other(x=X)["ip"] == 0).all()
        assert not (it(x=X)["ip"] == 0).all()


def test_state_dict_round_trip() -> None:
    text = layer("bn", "BatchNorm", "x", "bn") + layer(
        "c/1.2", "Convolution", "bn", "c", "convolution_param { num_output: 2 kernel_size: 3 }"
    )
    one, two = net(text, phase="TRAIN"), net(text)
    one(x=X)
    two.load_state_dict(one.state_dict())
    torch.testing.assert_close(two(x=X)["c"], one.eval()(x=X)["c"])
    assert set(one.state_dict()) == {
        "layers.bn.mean_sum", "layers.bn.variance_sum", "layers.bn.scale_sum",
        "layers.c/1_2.weight", "layers.c/1_2.bias",
    }  # fmt: skip
