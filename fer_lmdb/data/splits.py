"""Names of the splits."""

SPLITS = ("train", "val", "test")
