"""Tests for positions and suggestions in prototxt errors."""

from __future__ import annotations

import pytest

import prototxt_like as pl
from prototxt_like.io import text_format


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            'layer {\n  name: "conv1"\n  convolution_param { kernal_size: 3 }\n}',
            'net.prototxt:3:23: unknown field "kernal_size" in ConvolutionParameter; did you mean "kernel_size"?',
        ),
        (
            'layer { pooling_param { pool: MAXX } }',
            'net.prototxt:1:31: unknown value "MAXX" of PoolMethod; did you mean "MAX"?',
        ),
        ("state { phase: TRIAN }", 'net.prototxt:1:16: unknown value "TRIAN" of Phase; did you mean "TRAIN"?'),
        ("state { phase: test }", 'net.prototxt:1:16: unknown value "test" of Phase; did you mean "TEST"?'),
        (
            "layer { pooling_param { pool: 17 } }",
            'net.prototxt:1:31: unknown value "17" of PoolMethod; expected one of MAX, AVE, STOCHASTIC',
        ),
        (
            'layer { name: "a" name: "b" }',
            'net.prototxt:1:25: field "name" is set twice in one LayerParameter; remove one of them',
        ),
        ('layer { name: "a"', 'net.prototxt:1:15: expected "}"'),
        ("layer { name: 3 }", "net.prototxt:1:15: expected string but found: '3'"),
        ('name: "a', "net.prototxt:1:7: string missing ending quote: '\"a'"),
        ("layer { batch_norm_param { eps: x } }", "net.prototxt:1:33: couldn't parse float: x"),
        ("layer { convolution_param { num_output: -3 } }", "net.prototxt:1:41: value out of range: -3"),
        ("layer: 3", 'net.prototxt:1:8: expected "{"'),
        ("\x00", "net.prototxt:1:1: expected identifier or number, got \\x00"),
        ("zzz: 1", 'net.prototxt:1:1: unknown field "zzz" in NetParameter; expected one of name, input, input_shape, '
         "input_dim, force_backward, state, debug_info, layer, layers"),
    ],
)  # fmt: skip
def test_message(content: str, message: str) -> None:
    with pytest.raises(pl.ParseError) as caught:
        text_format.parse(content, pl.NetParameter(), "net.prototxt")
    assert str(caught.value) == message


def test_old_notations_are_accepted() -> None:
    """Angle brackets, colons before messages, comments, single quotes, numbers for enums."""
    net = text_format.parse("layer: < name: 'a' # why\n pooling_param { pool: 1 } >", pl.NetParameter())
    assert net.layer[0].name == "a"
    assert net.layer[0].pooling_param.pool == 1


def test_deep_nesting_stops_at_the_first_unknown_field() -> None:
    with pytest.raises(pl.ParseError, match=r'1:9: unknown field "layer" in LayerParameter'):
        text_format.parse("layer { " * 100_000, pl.NetParameter())


def test_round_trip() -> None:
    net = pl.parse_net('name: "Größe"\nlayer { name: "a" type: "ReLU" relu_param { negative_slope: 0.3 } }')
    again = pl.parse_net(text_format.write(net))
    assert again == net
    assert "Größe" in text_format.write(net)
