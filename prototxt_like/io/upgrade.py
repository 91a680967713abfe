"""Upgrade files with older layouts, by the rules of Caffe's own upgrade tools.

Source: BVLC/caffe src/caffe/util/upgrade_proto.cpp
"""

from __future__ import annotations

from prototxt_like.errors import FileError
from prototxt_like.io.upgrade_v0 import upgrade_v0
from prototxt_like.schema.caffe_schema_pb2 import (
    LayerParameter,
    NetParameter,
    PoolingParameter,
    SolverParameter,
    V1LayerParameter,
)

# Type names that differ from the capitalized words of the V1 name.
_TYPE_NAMES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
_SOLVER_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
_DATA_MESSAGES = ("data_param", "image_data_param", "window_data_param")
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
# Lists of a V1 layer that became fields of its `param` entries.
_PARAM_LISTS = (
    ("param", "name"),
    ("blob_share_mode", "share_mode"),
    ("blobs_lr", "lr_mult"),
    ("weight_decay", "decay_mult"),
)


def upgrade_net(net: NetParameter) -> NetParameter:
    """Upgrade a net with any older layout, in place.

    Args:
        net: NetParameter. Upgraded parts: layers of 2013, V1 ``layers``, transform fields in data parameters, ``input``
                fields, BatchNorm layers with three ``param`` entries, and ``ceil_mode`` of other forks.

    Returns:
        The same message.

    Raises:
        FileError: If the net mixes two layouts.
    """
    if net.layers:
        _upgrade_layers(net)
    _upgrade_inputs(net)
    for layer in net.layer:
        _freeze_batch_norm(layer)
        _rename_ceil_mode(layer)
    return net


def upgraded(net: NetParameter) -> NetParameter:
    """Return the net itself if its layout is current, or an upgraded copy."""
    renamed = any(layer.pooling_param.HasField("ceil_mode") for layer in net.layer)
    if not (net.layers or net.input or net.input_dim or net.input_shape or renamed):
        return net
    copy = NetParameter()
    copy.CopyFrom(net)
    return upgrade_net(copy)


def upgrade_solver(solver: SolverParameter) -> SolverParameter:
    """Convert the old enum ``solver_type`` to the string ``type`` and upgrade inline nets, in place.

    Raises:
        FileError: If both are set.
    """
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise FileError("the solver has both `type` and the older `solver_type`; keep `type`")
        solver.type = _SOLVER_TYPES[solver.solver_type]
        solver.ClearField("solver_type")
    for name in ("net_param", "train_net_param"):
        if solver.HasField(name):
            upgrade_net(getattr(solver, name))
    for net in solver.test_net_param:
        upgrade_net(net)
    return solver


def v1_type_name(number: int) -> str:
    """Return the current name of a V1 layer type, e.g. "InnerProduct" for 14."""
    name = V1LayerParameter.LayerType.Name(number)
    return _TYPE_NAMES.get(name, "".join(word.capitalize() for word in name.split("_")))


def _upgrade_layers(net: NetParameter) -> None:
    if net.layer:
        raise FileError("the net mixes `layer` and the older `layers`; write all of them as `layer`")
    if net.layers[0].HasField("layer"):
        upgrade_v0(net)
    for index, old in enumerate(net.layers):
        if old.HasField("layer"):
            raise FileError(f"layer {index} has the layout of 2013, the first does not; write all of them alike")
        _move_transform_fields(old)
        _upgrade_layer(old, net.layer.add())
    net.ClearField("layers")


def _upgrade_layer(old: V1LayerParameter, new: LayerParameter) -> None:
    lists = {name for name, _ in _PARAM_LISTS}
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = v1_type_name(value)
        elif field.name in lists:
            continue
        elif isinstance(value, str):
            setattr(new, field.name, value)
        elif hasattr(value, "extend"):  # a repeated field
            getattr(new, field.name).extend(value)
        else:
            getattr(new, field.name).CopyFrom(value)
    for list_name, field_name in _PARAM_LISTS:
        for index, value in enumerate(getattr(old, list_name)):
            while len(new.param) <= index:
                new.param.add()
            setattr(new.param[index], field_name, value)


def _move_transform_fields(layer: V1LayerParameter) -> None:
    """Move scale, mean, crop and mirror to transform_param. Caffe reads the old fields only in V1 layers."""
    for message in _DATA_MESSAGES:
        if not layer.HasField(message):
            continue
        old = getattr(layer, message)
        for name in _TRANSFORM_FIELDS:
            if old.HasField(name):
                setattr(layer.transform_param, name, getattr(old, name))
                old.ClearField(name)


def _upgrade_inputs(net: NetParameter) -> None:
    """Replace `input` fields by an Input layer at the front.

    Names without sizes (old caffemodels) and, as in Caffe, sizes without a name are dropped.
    """
    if net.input and (net.input_shape or net.input_dim):
        front = LayerParameter(name="input", type="Input", top=net.input)
        for sizes in _input_sizes(net):
            front.input_param.shape.add().dim.extend(sizes)
        layers = [front, *net.layer]
        replaced = NetParameter()
        replaced.layer.extend(layers)
        net.ClearField("layer")
        net.layer.extend(replaced.layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _input_sizes(net: NetParameter) -> list[list[int]]:
    """Return the sizes of every input. As in Caffe, more sizes than inputs are ignored."""
    count = len(net.input)
    if net.input_shape:
        sizes = [list(shape.dim) for shape in net.input_shape]
        if len(sizes) < count:
            raise FileError(f"too few input_shape: found {len(sizes)}, expected {count} for {count} input(s)")
        return sizes[:count]
    if len(net.input_dim) < 4 * count:
        raise FileError(f"too few input_dim: found {len(net.input_dim)}, expected {4 * count} for {count} input(s)")
    return [list(net.input_dim[4 * index : 4 * index + 4]) for index in range(count)]


def _freeze_batch_norm(layer: LayerParameter) -> None:
    """Zero the multipliers of old BatchNorm layers, whose three `param` entries excluded them from the solver."""
    if layer.type == "BatchNorm" and len(layer.param) == 3:
        for spec in layer.param:
            spec.lr_mult = 0
            spec.decay_mult = 0


def _rename_ceil_mode(layer: LayerParameter) -> None:
    """Write the fork field ``ceil_mode`` as Caffe's ``round_mode``."""
    options = layer.pooling_param
    if options.HasField("ceil_mode"):
        if options.HasField("round_mode"):
            raise FileError(f'layer "{layer.name}" has both round_mode and ceil_mode; keep round_mode')
        options.round_mode = PoolingParameter.CEIL if options.ceil_mode else PoolingParameter.FLOOR
        options.ClearField("ceil_mode")
