"""Nets written in Python: ``n.conv1 = L.Convolution(n.data, num_output=32, kernel_size=5)``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prototxt_like.layers import get_layer_class
from prototxt_like.schema import caffe_schema_pb2
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter


class Top:
    """One top of a layer.

    Args:
        fn: Layer that produces it.
        n: Position among the layer's tops.
    """

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> NetParameter:
        """Return the net that computes this top; names are automatic."""
        return to_proto(self)


class Function:
    """One layer of a specification.

    Args:
        type_name: Layer type.
        inputs: Tops of other layers.
        params: Fields of the layer or of its parameter message; ``ntop`` and ``in_place`` set the tops.

    Raises:
        TypeError: If an input is not a top.
    """

    def __init__(self, type_name: str, inputs: Iterable[Top], params: Mapping[str, Any]) -> None:
        self.type_name, self.inputs, self.params = type_name, list(inputs), dict(params)
        for index, top in enumerate(self.inputs):
            if not isinstance(top, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(top).__name__})")
        self.in_place = bool(self.params.pop("in_place", False))
        self.tops = tuple(Top(self, index) for index in range(self.params.pop("ntop", 1)))


class NetSpec:
    """Net whose attributes are tops; their names become the names of blobs and layers."""

    tops: dict[str, Top | Function]

    def __init__(self) -> None:
        object.__setattr__(self, "tops", {})

    def __setattr__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"the net has no top {name!r}") from None

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__

    def to_proto(self) -> NetParameter:
        """Return the net with all layers that the tops need."""
        return _Writer({top: name for name, top in self.tops.items()}).write(self.tops.values())


class _Writer:
    """Writer of one net, which names tops and layers.

    Args:
        names: Names that the specification sets, by top or layer.
    """

    def __init__(self, names: Mapping[Top | Function, str]) -> None:
        self._names: dict[Top | Function, str] = dict(names)
        self._counts: Counter[str] = Counter()
        self._layers: dict[Function, LayerParameter] = {}

    def write(self, tops: Iterable[Top | Function]) -> NetParameter:
        """Return the net with the layers in the order of their dependencies."""
        for top in tops:
            self._add(top.fn if isinstance(top, Top) else top)
        net = NetParameter()
        net.layer.extend(self._layers.values())
        return net

    def _add(self, fn: Function) -> None:
        if fn in self._layers:
            return
        for top in fn.inputs:
            self._add(top.fn)
        layer = LayerParameter(type=fn.type_name, bottom=[self._layers[top.fn].top[top.n] for top in fn.inputs])
        layer.top.extend(layer.bottom if fn.in_place else [self._name(top, fn.type_name) for top in fn.tops])
        layer.name = self._name(fn.tops[0] if fn.tops else fn, fn.type_name)
        for name, value in fn.params.items():
            _assign(_owner(layer, name), name, value)
        self._layers[fn] = layer

    def _name(self, item: Top | Function, type_name: str) -> str:
        if item not in self._names:
            self._counts[type_name] += 1
            self._names[item] = f"{type_name}{self._counts[type_name]}"
        return self._names[item]


def to_proto(*tops: Top) -> NetParameter:
    """Return the net that computes some tops; names are automatic."""
    return _Writer({}).write(tops)


def _owner(layer: LayerParameter, name: str) -> Any:
    """Return the message of a field: the layer itself, or the parameter message of its type."""
    if name.endswith("param"):
        return layer
    field = _parameter_field(layer.type)
    message = getattr(layer, field) if field else None
    return message if message is not None and name in message.DESCRIPTOR.fields_by_name else layer


def _parameter_field(type_name: str) -> str:
    """Return the name of the parameter message of a layer type, e.g. "convolution_param"."""
    for field in LayerParameter.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.name == f"{type_name}Parameter":
            return str(field.name)
    try:
        return get_layer_class(type_name).parameter_field
    except Exception:  # a layer of a fork is written as it is
        return ""


def _assign(message: Any, name: str, value: Any) -> None:
    """Set a field from Python values: a dict is a message, a list is repeated."""
    field = getattr(message, name)
    repeated = hasattr(field, "extend")
    if repeated:
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, dict):
                part = field.add()
                for key, inner in item.items():
                    _assign(part, key, inner)
            else:
                field.append(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _assign(field, key, inner)
        field.SetInParent()
    else:
        setattr(message, name, value)


class _Layers:
    """Functions that specify layers: ``layers.ReLU(n.conv1, in_place=True)``."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def make(*inputs: Top, **params: Any) -> Any:
            fn = Function(name, inputs, params)
            return fn if not fn.tops else fn.tops[0] if len(fn.tops) == 1 else fn.tops

        return make


class _Params:
    """Constants of parameter messages: ``params.Pooling.MAX``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(caffe_schema_pb2, f"{name}Parameter")
        except AttributeError:
            raise AttributeError(f"there is no {name}Parameter in Caffe's schema") from None


layers = _Layers()
params = _Params()
