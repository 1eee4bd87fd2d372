"""Pixels in, pixels out: reading, writing, metadata, resizing and histograms."""

from upres.images.histogram import match_histograms
from upres.images.picture import Metadata, Picture
from upres.images.read import MAX_MEGAPIXELS, Source, read, read_rows, read_size
from upres.images.resize import make_lr, resize, resize_bands
from upres.images.rows import Rows
from upres.images.segments import jpeg_quality
from upres.images.write import FORMATS, SUFFIXES, write, write_bands

__all__ = [
    "FORMATS",
    "MAX_MEGAPIXELS",
    "SUFFIXES",
    "Metadata",
    "Picture",
    "Rows",
    "Source",
    "jpeg_quality",
    "make_lr",
    "match_histograms",
    "read",
    "read_rows",
    "read_size",
    "resize",
    "resize_bands",
    "write",
    "write_bands",
]
