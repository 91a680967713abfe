"""Libraries are silenced inside the block only."""

from __future__ import annotations

import logging
import warnings

import pytest

from fer_lmdb.runtime.logging import silenced


def test_warnings_and_log_records_are_suppressed(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("library")
    with silenced("library"):
        warnings.warn("not shown", UserWarning, stacklevel=1)
        logger.warning("not shown")
        logger.error("shown")
    logger.warning("shown again")
    assert [record.message for record in caplog.records] == ["shown", "shown again"]
    with pytest.warns(UserWarning, match="shown again"):
        warnings.warn("shown again", UserWarning, stacklevel=1)


def test_warnings_of_other_modules_are_not_suppressed() -> None:
    with pytest.warns(UserWarning, match="shown"), silenced(modules=r"PIL\."):
        warnings.warn("shown", UserWarning, stacklevel=1)
