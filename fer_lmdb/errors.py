"""Every error that fer_lmdb raises on purpose.

    FerLmdbError
    ├── SourceError            a csv row, folder or picture that cannot be used
    │   └── ImageError       one picture that cannot be read
    ├── StoreError             an LMDB that is missing, damaged, full or not ours
    ├── DataSetError           a built data set that is missing, incomplete or does not fit the model
    ├── DetectorError          a face detector that is unknown or whose package or weights are missing
    ├── ModelError             a model file that is unknown, damaged or does not fit
    ├── ExecutorError            a cluster that cannot be reached or gives up
    ├── RunError               a run folder that cannot be started, resumed or read
    ├── ServeError             a web service that cannot be started
    ├── OptionError            an argument out of its range (also a ValueError)
    └── MissingExtra           an optional part that is not installed

The command line prints the message alone (one line, no traceback) and exits with 1:
say what was found, what was expected and what to do next.
"""


class FerLmdbError(Exception):
    """Base of all errors of this package."""


class SourceError(FerLmdbError):
    """A csv row, folder or picture that cannot be used."""


class ImageError(SourceError):
    """One picture that cannot be read."""


class StoreError(FerLmdbError):
    """An LMDB that is missing, damaged, full or not ours."""


class DataSetError(FerLmdbError):
    """A built data set that is missing, incomplete or does not fit the model."""


class DetectorError(FerLmdbError):
    """A face detector that is unknown or cannot be loaded."""


class ModelError(FerLmdbError):
    """A model file that is unknown, damaged or does not fit."""


class RunError(FerLmdbError):
    """A run folder that cannot be started, resumed or read."""


class DeviceError(FerLmdbError):
    """There is no such device in this machine."""


class ServeError(FerLmdbError):
    """A web service that cannot be started."""


class ExecutorError(FerLmdbError):
    """A cluster that cannot be reached or gives up."""


class OptionError(FerLmdbError, ValueError):
    """An argument out of its range."""


class MissingExtra(FerLmdbError):
    """An optional part that is not installed; the message names the extra."""


def one_line(error: BaseException) -> str:
    """Return the message of any error in one line; the name of its type if it has none."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"out of memory: {text}".rstrip(": ")
    return text or type(error).__name__
