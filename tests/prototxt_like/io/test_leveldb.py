"""LevelDB of Datum: read with plyvel, without a change in its folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from prototxt_like.errors import StoreError
from prototxt_like.io import datum_store


@pytest.fixture
def leveldb(tmp_path: Path) -> Path:
    """Two images in a table file, one in the log."""
    plyvel = pytest.importorskip("plyvel")
    path = tmp_path / "x_train_leveldb"
    values = [datum_store.encode_datum(np.full((3, 5, 7), number, np.uint8), number) for number in range(3)]
    base = plyvel.DB(str(path), create_if_missing=True)
    for number in (1, 0):
        base.put(b"%08d_a" % number, values[number])
    base.compact_range()
    base.put(b"00000002_a", values[2])
    base.close()
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_images_are_read_in_the_order_of_the_keys_and_the_folder_stays_as_it_is(leveldb: Path) -> None:
    before = contents(leveldb)
    assert datum_store.is_database(leveldb)
    datum_store.check_structure(leveldb)
    split = datum_store.read_split(leveldb)
    assert split.keys == ["00000000_a", "00000001_a", "00000002_a"]
    assert split.labels.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(split.images[:, 2, 4, 6], [0, 1, 2])
    assert datum_store.digest(leveldb) == datum_store.digest(leveldb)
    assert contents(leveldb) == before


def test_a_damaged_table_is_one_line(leveldb: Path) -> None:
    (table,) = leveldb.glob("*.ldb")
    content = bytearray(table.read_bytes())
    content[10] ^= 0xFF
    table.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=r"x_train_leveldb is damaged .*write the database again") as caught:
        datum_store.read_split(leveldb)
    assert "\n" not in str(caught.value)


def test_streaming_is_not_possible(leveldb: Path) -> None:
    with pytest.raises(StoreError, match="has no random access; use --loader memory"):
        list(datum_store.LmdbRandomReader(leveldb).get([0]))


def test_without_plyvel_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CURRENT", "MANIFEST-000002"):
        (tmp_path / name).write_bytes(b"MANIFEST-000002\n")
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(StoreError, match=r'is a LevelDB; install its reader with: pip install "fer-lmdb\[leveldb\]"'):
        datum_store.read_split(tmp_path)
