"""Databases of Datum, as written by Caffe's convert_imageset.

Only this package opens LMDB environments; the library is imported when the first one is opened.

A key is ``%08d_<name>``, numbered in the shuffled order, so that LMDB's order by key is the training order. A value is
a `Datum`: raw bytes with channels, height and width, or an encoded image with ``encoded`` set and no sizes.

Source: BVLC/caffe tools/convert_imageset.cpp, src/caffe/util/db_lmdb.cpp, src/caffe/util/io.cpp
"""

from prototxt_like.io.datum_store.datum import Encoding, decode_datum, encode_datum, encode_votes
from prototxt_like.io.datum_store.digest import add_to_digest, digest
from prototxt_like.io.datum_store.environment import check_structure, is_database
from prototxt_like.io.datum_store.faces import LmdbFaces
from prototxt_like.io.datum_store.keys import key_name, make_key
from prototxt_like.io.datum_store.leveldb import is_leveldb, leveldb_sha256, open_leveldb
from prototxt_like.io.datum_store.random_access import LmdbRandomReader, read_labels
from prototxt_like.io.datum_store.reader import (
    Record,
    SplitArrays,
    iterate,
    iterate_values,
    read_split,
    read_votes,
)
from prototxt_like.io.datum_store.writer import LmdbWriter

__all__ = [
    "Encoding",
    "LmdbFaces",
    "LmdbRandomReader",
    "LmdbWriter",
    "Record",
    "SplitArrays",
    "add_to_digest",
    "check_structure",
    "decode_datum",
    "digest",
    "encode_datum",
    "encode_votes",
    "is_database",
    "is_leveldb",
    "iterate",
    "iterate_values",
    "key_name",
    "leveldb_sha256",
    "make_key",
    "open_leveldb",
    "read_labels",
    "read_split",
    "read_votes",
]
