"""Exceptions of fer_lmdb.

    FerLmdbError
    ├── SourceError            invalid csv row, folder or image
    │   └── ImageError         image that cannot be read
    ├── DataSetError           missing or incomplete data set, or one that does not match the model
    ├── DetectorError          unknown face detector, or missing package or weights
    ├── ModelError             unknown, damaged or mismatched model
    ├── RunError               run folder that cannot be started, resumed or read
    ├── DeviceError            device that PyTorch or this machine does not have
    ├── ExecutorError          Ray cluster that cannot be reached or has failed
    ├── ServeError             web service that cannot be started
    ├── OutputError            output that would replace something else, or that another process is writing
    ├── OptionError            argument out of its range (also a ValueError)
    └── MissingExtra           optional dependency that is not installed

The message is one line, `<what> <problem>: found X, expected Y; <next step>`. The command line prints it without a
traceback and exits with 1. Files in Caffe's formats, databases among them (`StoreError`), raise the exceptions of
prototxt_like.errors: catch `ERRORS` for both.
"""

from prototxt_like.errors import PrototxtLikeError
from prototxt_like.errors import StoreError as StoreError


class FerLmdbError(Exception):
    """Base class of the exceptions of fer_lmdb."""


class SourceError(FerLmdbError):
    """Invalid csv row, folder or image."""


class ImageError(SourceError):
    """Image that cannot be read."""


class DataSetError(FerLmdbError):
    """Missing or incomplete data set, or one that does not match the model."""


class DetectorError(FerLmdbError):
    """Unknown face detector, or missing package or weights."""


class ModelError(FerLmdbError):
    """Unknown, damaged or mismatched model."""


class RunError(FerLmdbError):
    """Run folder that cannot be started, resumed or read."""


class DeviceError(FerLmdbError):
    """Device that PyTorch or this machine does not have."""


class ExecutorError(FerLmdbError):
    """Ray cluster that cannot be reached or has failed."""


class ServeError(FerLmdbError):
    """Web service that cannot be started."""


class OutputError(FerLmdbError):
    """Output that would replace an input or a file that this program did not write, or is being written."""


class OptionError(FerLmdbError, ValueError):
    """Argument out of its range."""


class MissingExtra(FerLmdbError):
    """Optional dependency that is not installed; the message contains the extra."""


ERRORS = (FerLmdbError, PrototxtLikeError)
"""Base classes of all expected errors, for `except`."""


def one_line(error: BaseException) -> str:
    """Return the message of any error in one printable line; the name of its type if it has none."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, MemoryError):
        return f"out of memory: {text}".rstrip(": ")
    return text or type(error).__name__


def printable(text: str) -> str:
    """Return a text with control characters and what is not Unicode escaped; lines and tabs remain."""
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)
