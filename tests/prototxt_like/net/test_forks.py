"""Tests of files of Caffe forks, and of messages about what is not built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.io.positions import layer_line

IP = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }"""
NORM = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 2 dim: 2 } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "y" }"""


def weights(name: str, *arrays: np.ndarray) -> pl.NetParameter:
    net = pl.NetParameter()
    net.layer.add(name=name).blobs.extend(pl.array_to_blob(array) for array in arrays)
    return net


class TestWeights:
    @pytest.mark.parametrize(("kind", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2"), (3, "<i4"), (4, "<u4")])
    def test_raw_data_of_nvcaffe(self, kind: int, dtype: str, tmp_path: Path) -> None:
        trained = pl.NetParameter()
        layer = trained.layer.add(name="ip", type="InnerProduct")
        for values, shape in ((np.arange(6), (2, 3)), (np.arange(2), (2,))):
            blob = layer.blobs.add(raw_data=values.astype(dtype).tobytes(), raw_data_type=kind)
            blob.shape.dim.extend(shape)
        pl.write_binary(trained, tmp_path / "nv.caffemodel")
        net = pl.Net(pl.parse_net(IP), tmp_path / "nv.caffemodel")
        assert net.params["ip"][0].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert net.params["ip"][1].tolist() == [0, 1]

    def test_damaged_raw_data(self) -> None:
        blob = pl.BlobProto(raw_data=b"12345", raw_data_type=1)
        blob.shape.dim.append(1)
        with pytest.raises(pl.FileError, match="blob is damaged: found 5 bytes in NVCaffe's raw_data, expected a mult"):
            pl.blob_to_array(blob)

    def test_a_git_lfs_pointer(self, tmp_path: Path) -> None:
        path = tmp_path / "net.caffemodel"
        path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n")
        for read in (pl.read_net, pl.read_mean, pl.read_solver_state):
            with pytest.raises(pl.FileError, match=r"net.caffemodel: found a Git LFS pointer, .*; run git lfs pull"):
                read(path)

    @pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 4, 0, 1, 2)], ids=["NVCaffe", "Intel"])
    def test_five_blobs_of_batch_norm(self, order: tuple[int, ...]) -> None:
        generator = np.random.default_rng(1)
        arrays = [generator.uniform(0.5, 2, 1 if index == 2 else 4).astype(np.float32) for index in range(5)]
        net = pl.Net(pl.parse_net(NORM), weights("bn", *[arrays[index] for index in order]))
        mean, variance, divisor, factor, offset = (torch.from_numpy(array).reshape(-1, 1, 1) for array in arrays)
        x = torch.randn(2, 4, 2, 2, requires_grad=True)
        y = net(data=x)["y"]
        slope = factor / torch.sqrt(variance / divisor + 1e-5)
        torch.testing.assert_close(y, (x - mean / divisor) * slope + offset)
        y.sum().backward()
        torch.testing.assert_close(x.grad, slope.expand(2, 4, 2, 2))
        assert [blob.shape for blob in net.params["bn"]] == [(4,), (4,), (1,), (4,), (4,)]
        assert pl.Net(net.proto).params["bn"][3].shape == (4,)
        assert pl.extensions(net) == ['layer "bn": scale_bias in BatchNormParameter']
        torch.testing.assert_close(pl.fold_batch_norm(net)(data=x)["y"], y)

    def test_five_blobs_trained(self) -> None:
        text = NORM.replace('top: "y" }', 'top: "y" batch_norm_param { use_weight_bias: true } param { lr_mult: 0 } }')
        net = pl.Net(pl.parse_net(text), phase="TRAIN")
        x = torch.randn(2, 4, 2, 2, requires_grad=True)
        y = net(data=x)["y"]
        torch.testing.assert_close(y, torch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-5))
        (y * y).sum().backward()
        torch.testing.assert_close(net.params["bn"][3].grad, (2 * y * y).sum((0, 2, 3)).detach())
        assert len(net.learnable_params) == 2

    def test_five_blobs_for_a_net_that_was_built_without(self) -> None:
        trained = weights("bn", *[np.ones(1 if index == 2 else 4, np.float32) for index in range(5)])
        with pytest.raises(pl.WeightsError, match=r"found five blobs, the BatchNorm and Scale of NVCaffe .*scale_bias"):
            pl.load_weights(pl.Net(pl.parse_net(NORM)), trained)

    def test_no_layer_fits(self) -> None:
        trained = weights("fc", np.ones((2, 3)), np.ones(2))
        message = "no layer of the weights fits the net: found fc, expected some of ip; use the weights of this net"
        with pytest.raises(pl.WeightsError, match=message):
            pl.Net(pl.parse_net(IP), trained)
        with pytest.raises(pl.WeightsError, match=message):
            pl.load_weights(pl.Net(pl.parse_net(IP)), trained)

    def test_some_layers_do_not_fit(self) -> None:
        trained = weights("ip", np.ones((2, 3)), np.ones(2))
        trained.MergeFrom(weights("other", np.ones(2)))
        text = IP + 'layer { name: "s" type: "Scale" bottom: "ip" top: "s" }'
        assert pl.Net(pl.parse_net(text), trained).notes == [
            "not in the weights, so initialized by its fillers: s",
            "only in the weights, so ignored: other",
        ]


class TestMessages:
    def test_a_type_that_is_not_built_names_file_line_layer_fork_and_way_out(self, tmp_path: Path) -> None:
        path = tmp_path / "net.prototxt"
        path.write_text(IP + '\n# layer { name: "out"\nlayer {\n  name: "out" type: "Reorg" bottom: "ip" top: "o"\n}\n')
        with pytest.raises(pl.UnknownLayerType) as caught:
            pl.Net(path)
        assert str(caught.value) == (
            f'{path}:4: layer "out": unknown layer type "Reorg": it is a type of YOLO, which is not built; '
            "write it as Reshape, Permute and Reshape"
        )

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ('name: "a"\n\nlayer { type: "b" name: "a" }', 3),
            ('layers {\n layer { name: "a" } }', 1),
            ('layer { top: "a" }', None),
            ("layer { p { q { name: \"a\" } } }\nlayer { name: 'a' }", 2),
        ],
    )
    def test_line_of_a_layer(self, text: str, line: int | None) -> None:
        assert layer_line(text, "a") == line

    @pytest.mark.parametrize(
        ("field", "message"),
        [
            (
                "psroi_pooling_param",
                "belongs to layer type PSROIPooling of R-FCN, which is not built; register",
            ),
            ("my_roi_pooling_param", "; remove it, or use the field of a built layer type"),
            ("poolng_param", '; did you mean "pooling_param"?'),
        ],
    )
    def test_fields(self, field: str, message: str) -> None:
        with pytest.raises(pl.ParseError) as caught:
            pl.parse_net(f"layer {{ {field} {{ a: 1 }} }}", "net.prototxt")
        assert str(caught.value).startswith(f'net.prototxt:1:9: unknown field "{field}" in LayerParameter')
        assert message in str(caught.value)


class TestSources:
    def test_the_label_has_the_batch_size_of_the_data(self) -> None:
        net = pl.Net(
            pl.parse_net('layer { name: "d" type: "Data" top: "data" top: "label" data_param { batch_size: 64 } }'
                         'layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }'),
            phase="TRAIN",
            input_shapes={"data": (8, 1, 28, 28)},
        )  # fmt: skip
        assert net.input_shapes == {"data": (8, 1, 28, 28), "label": (8,)}

    @pytest.mark.parametrize("kind", ["HDF5Data", "Python"])
    def test_sources_of_anything_need_all_shapes(self, kind: str) -> None:
        net = pl.parse_net(
            f'layer {{ name: "d" type: "{kind}" top: "data" top: "label" }} '
            'layer { name: "s" type: "EuclideanLoss" bottom: "data" bottom: "label" top: "loss" }'
        )
        with pytest.raises(
            pl.NetError, match=r'the shape of "label" is unknown: .*input_shapes={"label": \(batch, ...'
        ):
            pl.Net(net, input_shapes={"data": (4, 3)})
        built = pl.Net(net, input_shapes={"data": (4, 3), "label": (4, 3)})
        assert float(built(data=torch.ones(4, 3), label=torch.zeros(4, 3))["loss"]) == 1.5

    def test_a_python_layer_with_bottoms_does_not_run(self) -> None:
        text = IP + 'layer { name: "p" type: "Python" bottom: "ip" top: "p" python_param { module: "m" layer: "L" } }'
        with pytest.raises(pl.NetError, match=r'layer "p" \(Python\): net files must not run code'):
            pl.Net(pl.parse_net(text))
