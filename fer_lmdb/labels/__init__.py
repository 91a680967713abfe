"""Classes and their order. Class orders are defined in this package only.

Data sets number the same expressions differently, so a class number is meaningless without its scheme or order.

schemes      label schemes of data sets and models
orders       meaning of the numbers in published data sets, and lists of class names
given        classes that a user or a run states
class_words  from the name of a folder to a label
"""

from fer_lmdb.labels.class_words import check_class_words, class_name, parse_label
from fer_lmdb.labels.given import recorded_labels, scheme_of
from fer_lmdb.labels.orders import LABEL_FILES, LABEL_ORDERS, LabelOrder, find_label_file, get_label_order, read_labels
from fer_lmdb.labels.schemes import (
    FER2013,
    FERPLUS,
    MERGED,
    SCHEMES,
    WITHOUT_DISGUST,
    LabelScheme,
    explain_mismatch,
    format_scheme,
    get_scheme,
    require_same,
)

__all__ = [
    "FER2013",
    "FERPLUS",
    "LABEL_FILES",
    "LABEL_ORDERS",
    "MERGED",
    "SCHEMES",
    "WITHOUT_DISGUST",
    "LabelOrder",
    "LabelScheme",
    "check_class_words",
    "class_name",
    "explain_mismatch",
    "find_label_file",
    "format_scheme",
    "get_label_order",
    "get_scheme",
    "parse_label",
    "read_labels",
    "recorded_labels",
    "require_same",
    "scheme_of",
]
