"""Include and exclude rules: phase, level and stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prototxt_like.errors import NetError
from prototxt_like.schema import caffe_schema_pb2
from prototxt_like.schema.caffe_schema_pb2 import NetParameter, Phase
from prototxt_like.suggest import did_you_mean

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetStateRule


@dataclass(frozen=True)
class NetState:
    """Phase, level and stages of a net.

    Args:
        phase: "TRAIN" or "TEST".
        level: Integer that rules compare with min_level and max_level.
        stages: Names that rules require or exclude.
    """

    phase: str
    level: int = 0
    stages: Collection[str] = ()

    def __post_init__(self) -> None:
        if self.phase not in dict(Phase.items()):
            raise NetError(f'unknown phase "{self.phase}"{did_you_mean(str(self.phase), Phase.keys())}')


def state_meets_rule(state: NetState, rule: NetStateRule) -> bool:
    """Return whether a state meets all conditions of a rule.

    Source: BVLC/caffe src/caffe/net.cpp, Net::StateMeetsRule
    """
    return (
        (not rule.HasField("phase") or Phase.Name(rule.phase) == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and all(stage in state.stages for stage in rule.stage)
        and not any(stage in state.stages for stage in rule.not_stage)
    )


def make_net_state(net: NetParameter, phase: str, level: int | None = None, stages: Sequence[str] = ()) -> NetState:
    """Return the state for a phase. The net's own stages are added; ``level=None`` means the net's own level."""
    return NetState(phase, net.state.level if level is None else level, frozenset([*net.state.stage, *stages]))


def filter_net(net: NetParameter, state: NetState) -> NetParameter:
    """Return a copy of the net with only the layers of one state.

    Raises:
        NetError: If a layer has both include and exclude rules.
    """
    filtered = NetParameter()
    filtered.CopyFrom(net)
    filtered.ClearField("layer")
    filtered.layer.extend(layer for layer in net.layer if is_included(layer, state))
    filtered.state.CopyFrom(caffe_schema_pb2.NetState(phase=state.phase, level=state.level, stage=sorted(state.stages)))
    return filtered


def is_included(layer: LayerParameter, state: NetState) -> bool:
    """Return whether a layer is part of the net in this state.

    Raises:
        NetError: If the layer has both include and exclude rules.
    """
    if layer.include and layer.exclude:
        raise NetError(f'layer "{layer.name}" has both include and exclude rules; keep one kind')
    if layer.include:
        return any(state_meets_rule(state, rule) for rule in layer.include)
    return not any(state_meets_rule(state, rule) for rule in layer.exclude)
