"""Invalid samples of a source: found before faces are detected, and reported together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NoReturn

from fer_lmdb.data.sources import InvalidSample, Source
from fer_lmdb.data.sources.random_splits import RandomSplits
from fer_lmdb.errors import SourceError
from fer_lmdb.runtime.progress import ProgressCallback, report_progress

MAX_LISTED = 1000
HINT = "use --skip-invalid to skip and list such samples"
_LOG = logging.getLogger(__name__)


def check_samples(source: Source, progress: ProgressCallback) -> None:
    """Read a source to its end, so that a build does not stop after an hour of detection.

    Args:
        source: The samples.
        progress: Called with the number of samples read.

    Raises:
        SourceError: If a sample is invalid.
    """
    # Random splits group near-duplicates whenever they are read, which does not matter here.
    samples: Source = source.source if isinstance(source, RandomSplits) else source
    invalid = []
    for number, item in enumerate(samples, 1):
        if isinstance(item, InvalidSample):
            invalid.append(item)
        report_progress(progress, "check images", number, source.size_hint() or number)
    if invalid:
        raise_invalid(invalid)


def raise_invalid(samples: Sequence[InvalidSample]) -> NoReturn:
    """Log each invalid sample in a line, unless there is only one, and raise the error.

    Raises:
        SourceError: Always.
    """
    if len(samples) == 1:
        raise SourceError(f"{samples[0].location}: {samples[0].reason} ({HINT})")
    for sample in samples[:MAX_LISTED]:
        _LOG.warning("%s: %s", sample.location, sample.reason)
    more = f"; {len(samples) - MAX_LISTED:,} more are not listed" if len(samples) > MAX_LISTED else ""
    raise SourceError(f"found {len(samples):,} invalid samples, listed above{more}; repair them or {HINT}")
