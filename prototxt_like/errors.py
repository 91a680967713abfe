"""Every error that prototxt_like raises on purpose.

    PrototxtLikeError
    ├── FileError              a file cannot be read, is truncated, oversized or not what its name says
    │   └── ParseError         text with file:line:column and, where one is near, "did you mean"
    ├── NetError               a net that cannot be built: missing bottom, cycle, unknown layer type
    │   ├── UnknownLayerType
    │   └── ShapeMismatch      a layer or an input whose shape does not fit
    ├── WeightsError           weights that do not fit the net
    └── SolverError            a solver that cannot be followed

The message is one sentence or two: what was found, what was expected, what to do next.
"""


class PrototxtLikeError(Exception):
    """Base of all errors of this package."""


class FileError(PrototxtLikeError):
    """A file cannot be read, or does not hold what it should."""


class ParseError(FileError):
    """Text that is not a valid message; the message starts with file:line:column."""


class NetError(PrototxtLikeError):
    """A net that cannot be built or run."""


class UnknownLayerType(NetError):
    """A layer type that is not in the catalogue."""


class ShapeMismatch(NetError):
    """A shape that does not fit; the message names the layer and both shapes."""


class WeightsError(PrototxtLikeError):
    """Weights that do not fit the net they are loaded into."""


class SolverError(PrototxtLikeError):
    """A solver parameter that contradicts itself or Caffe's rules."""
