"""Read any picture: one file per family of formats, one table.

``read(path)`` gives the pixels as stored, upright. Rule: this package and ``outputs`` are the only
ones that import picture libraries, and no value is rescaled here but by what the file itself says
about its measure (DICOM, NIfTI).
"""

from __future__ import annotations

from masksmith.images.channels import read_channels, read_channels_header
from masksmith.images.encode import encode_png, encode_tiff, write_bands
from masksmith.images.formats import FORMATS, Format, is_folder_picture, is_picture, stem
from masksmith.images.geo import GeoReference, georeference
from masksmith.images.picture import Header, Picture
from masksmith.images.reading import read, read_header, read_window
from masksmith.images.strips import Strips
from masksmith.images.systems import tags as geo_tags

__all__ = [
    "FORMATS",
    "Format",
    "GeoReference",
    "Header",
    "Picture",
    "Strips",
    "encode_png",
    "encode_tiff",
    "geo_tags",
    "georeference",
    "is_folder_picture",
    "is_picture",
    "read",
    "read_channels",
    "read_channels_header",
    "read_header",
    "read_window",
    "stem",
    "write_bands",
]
