"""Tests for include and exclude rules."""

from __future__ import annotations

import pytest

import prototxt_like as pl
from prototxt_like.net.filter import NetState, filter_net, is_included, make_net_state


def included(rules: str, phase: str = "TEST", level: int = 0, stages: tuple[str, ...] = ()) -> bool:
    return is_included(pl.parse_net(f"layer {{ {rules} }}").layer[0], NetState(phase, level, stages))


@pytest.mark.parametrize(
    ("rules", "state", "expected"),
    [
        ("", ("TRAIN",), True),
        ("include { phase: TRAIN }", ("TRAIN",), True),
        ("include { phase: TRAIN }", ("TEST",), False),
        ("exclude { phase: TRAIN }", ("TRAIN",), False),
        ("exclude { phase: TRAIN }", ("TEST",), True),
        ("include {}", ("TEST",), True),
        ("exclude {}", ("TEST",), False),
        ("include { phase: TRAIN } include { phase: TEST stage: 'a' }", ("TEST", 0, ("a",)), True),
        ("include { phase: TRAIN } include { phase: TEST stage: 'a' }", ("TEST",), False),
        ("include { stage: 'a' stage: 'b' }", ("TEST", 0, ("a",)), False),
        ("include { stage: 'a' stage: 'b' }", ("TEST", 0, ("b", "a", "c")), True),
        ("include { stage: 'a' not_stage: 'b' }", ("TEST", 0, ("a",)), True),
        ("include { stage: 'a' not_stage: 'b' }", ("TEST", 0, ("a", "b")), False),
        ("include { min_level: 2 }", ("TEST", 1), False),
        ("include { min_level: 2 }", ("TEST", 2), True),
        ("include { max_level: 2 }", ("TEST", 2), True),
        ("include { max_level: 2 }", ("TEST", 3), False),
        ("include { min_level: -1 max_level: 0 }", ("TEST", -1), True),
        ("exclude { min_level: 1 phase: TRAIN }", ("TEST", 1), True),
    ],
)
def test_rules(rules: str, state: tuple, expected: bool) -> None:
    assert included(rules, *state) is expected


def test_include_and_exclude_together_are_rejected() -> None:
    with pytest.raises(pl.NetError, match='layer "a" has both include and exclude rules'):
        included('name: "a" include {} exclude {}')


def test_unknown_phase() -> None:
    with pytest.raises(pl.NetError, match='unknown phase "train"; did you mean "TRAIN"'):
        NetState("train")


def test_the_nets_own_state_is_used() -> None:
    net = pl.parse_net(
        "state { level: 3 stage: 'a' } layer { name: 'x' include { min_level: 3 stage: 'a' stage: 'b' } }"
    )
    assert not filter_net(net, make_net_state(net, "TEST")).layer
    filtered = filter_net(net, make_net_state(net, "TEST", stages=["b"]))
    assert [layer.name for layer in filtered.layer] == ["x"]
    assert list(filtered.state.stage) == ["a", "b"]
    assert len(net.layer) == 1, "the net itself is left as it is"
    assert not filter_net(net, make_net_state(net, "TEST", level=2, stages=["b"])).layer
    assert not filter_net(net, make_net_state(net, "TEST", level=0, stages=["b"])).layer


def test_level_0_of_the_caller_takes_precedence() -> None:
    text = "state { level: 3 } layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 } } } "
    net = pl.parse_net(text + "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y' include { min_level: 3 } }")
    assert pl.Net(net).outputs == ["y"]
    assert pl.Net(net, level=0).outputs == ["x"]
