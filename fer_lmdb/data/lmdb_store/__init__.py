"""Databases of Datum, as written by Caffe's convert_imageset. Only this package opens LMDB environments.

A key is ``%08d_<name>``, numbered in the shuffled order, so that LMDB's order by key is the training order. A value is
a `Datum`: raw bytes with channels, height and width, or an encoded image with ``encoded`` set and no sizes.

Source: BVLC/caffe tools/convert_imageset.cpp, src/caffe/util/db_lmdb.cpp, src/caffe/util/io.cpp
"""

from fer_lmdb.data.lmdb_store.datum import Encoding, decode_datum, encode_datum, encode_votes
from fer_lmdb.data.lmdb_store.digest import digest
from fer_lmdb.data.lmdb_store.environment import check_structure
from fer_lmdb.data.lmdb_store.faces import LmdbFaces
from fer_lmdb.data.lmdb_store.keys import key_name, make_key
from fer_lmdb.data.lmdb_store.random_access import LmdbRandomReader, read_labels
from fer_lmdb.data.lmdb_store.reader import (
    Record,
    SplitArrays,
    iterate,
    iterate_values,
    read_split,
    read_votes,
)
from fer_lmdb.data.lmdb_store.writer import LmdbWriter

__all__ = [
    "Encoding",
    "LmdbFaces",
    "LmdbRandomReader",
    "LmdbWriter",
    "Record",
    "SplitArrays",
    "check_structure",
    "decode_datum",
    "digest",
    "encode_datum",
    "encode_votes",
    "iterate",
    "iterate_values",
    "key_name",
    "make_key",
    "read_labels",
    "read_split",
    "read_votes",
]
