"""Build data sets: images -> faces -> databases, mean image and manifest.

source ──▶ collect (detect, align, spool) ──▶ write (shuffle, LMDB, mean, manifest) ──▶ verify ──▶ rename
               └──▶ dump_images (PNG files and lists, optional)
"""

from fer_lmdb.data.build.builder import build, write_images
from fer_lmdb.data.build.options import BuildOptions

__all__ = ["BuildOptions", "build", "write_images"]
