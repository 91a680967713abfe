"""Tests of nets written in Python."""

from __future__ import annotations

import pytest

import prototxt_like as pl
from prototxt_like.pycaffe import NetSpec, to_proto
from prototxt_like.pycaffe import layers as L
from prototxt_like.pycaffe import params as P


def lenet(batch_size: int) -> pl.NetParameter:
    n = NetSpec()
    n.data, n.label = L.Data(
        batch_size=batch_size, backend=P.Data.LMDB, source="db", transform_param={"scale": 0.5}, ntop=2
    )
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler={"type": "xavier"})
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.relu1 = L.ReLU(n.pool1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=10, param=[{"lr_mult": 1}, {"lr_mult": 2}])
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    return n.to_proto()


def test_lenet_as_in_the_tutorial() -> None:
    expected = pl.parse_net("""
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.5 }
  data_param { source: "db" batch_size: 8 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param { num_output: 20 kernel_size: 5
  weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 2
  stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "pool1" top: "pool1" }
layer { name: "score" type: "InnerProduct" bottom: "pool1" top: "score" param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
""")
    assert lenet(8) == expected
    assert pl.Net(lenet(8), input_shapes={"data": (8, 1, 28, 28), "label": (8,)}).shapes["score"] == (8, 10)


def test_automatic_names_follow_the_types() -> None:
    data = L.DummyData(shape={"dim": [2, 3]})
    net = to_proto(L.ReLU(L.InnerProduct(L.InnerProduct(data, num_output=4), num_output=5)))
    assert [layer.name for layer in net.layer] == ["DummyData1", "InnerProduct1", "InnerProduct2", "ReLU1"]


def test_layers_without_tops_and_unknown_fields() -> None:
    n = NetSpec()
    n["data"] = L.DummyData(shape={"dim": [2]})
    n.silence = L.Silence(n["data"], ntop=0)
    assert [(layer.name, layer.type) for layer in n.to_proto().layer] == [("data", "DummyData"), ("silence", "Silence")]
    with pytest.raises(AttributeError, match="kernal"):
        to_proto(L.Convolution(kernal=3))
    with pytest.raises(TypeError, match="ReLU input 0 is not a Top"):
        L.ReLU(3)
