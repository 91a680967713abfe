"""Exceptions of prototxt_like.

    PrototxtLikeError
    ├── FileError              unreadable, truncated, oversized or invalid file
    │   ├── ParseError         invalid text, with file:line:column and "did you mean"
    │   └── StoreError         missing, damaged, full or foreign database
    ├── NetError               invalid net: missing bottom, cycle, unknown layer type
    │   ├── UnknownLayerType
    │   └── ShapeMismatch      wrong shape of a layer or an input
    ├── WeightsError           weights that do not match the net
    └── SolverError            invalid or contradictory solver

Each message states what was found, what was expected and what to do next.
"""


class PrototxtLikeError(Exception):
    """Base class of all prototxt_like exceptions."""


class FileError(PrototxtLikeError):
    """Unreadable or invalid file."""


class ParseError(FileError):
    """Invalid prototxt text. The message starts with file:line:column."""


class StoreError(FileError):
    """Missing, damaged, full or foreign database."""


class NetError(PrototxtLikeError):
    """Net that cannot be built or run."""


class UnknownLayerType(NetError):
    """Layer type that is not registered.

    Args:
        message: Error message.
        layer_name: Name of the layer; empty if it is not known.
    """

    def __init__(self, message: str, layer_name: str = "") -> None:
        super().__init__(message)
        self.layer_name = layer_name


class ShapeMismatch(NetError):
    """Shape mismatch. The message contains the layer and both shapes."""


class WeightsError(PrototxtLikeError):
    """Weights that do not match the net."""


class SolverError(PrototxtLikeError):
    """Solver parameter that is contradictory or violates Caffe's rules."""
