"""Every ceiling of the program in one table, each with its unit and its reason.

Rule: no other module holds a number that refuses or bounds somebody's work.
"""

from __future__ import annotations

# Class indices are stored as 8 bits with 255 kept for "ignored": 0 … 254 remain.
MAX_CLASSES = 255

# A mask with more distinct values than this and no class table is a photograph, a JPEG
# or an instance map; the largest published label set in common use (ADE20K) has 150.
MAX_UNNAMED_VALUES = 64

# Colours in one mask, for the same reason; hand-made colour tables rarely pass 30.
MAX_UNNAMED_COLORS = 40

# Pixels of one picture held in memory at once: 4 bytes * 4 channels * 2^28 = 4 GiB of float.
MAX_PICTURE_PIXELS = 2**28

# Channels of one picture; hyperspectral cameras deliver up to about 250 bands.
MAX_CHANNELS = 512

# A file of drawn annotations (COCO, CVAT) that is parsed whole: COCO 2017 has 0.5 GB for 118,000
# pictures, and parsing takes about six times its size in memory.
MAX_ANNOTATION_BYTES = 2**30

# Share of the free memory that decoded pictures may take before they are read anew each time:
# the other half is for the network, whose activations are larger than the pictures.
CACHE_MEMORY_SHARE = 0.5

# Pictures shown in a figure of samples: more than this cannot be read on one screen.
FIGURE_ROWS = 4

# Rows of a large picture that are kept decoded while windows beside each other are cut from them: 2,000 rows of
# 32,000 pixels in colour.
MAX_BAND_BYTES = 2**28

# Pixels of a picture whose class probabilities are still put together in memory: with three classes 1.6 GB.
# Of larger ones the mask alone is written, part by part.
MAX_WHOLE_PIXELS = 2**27

# What the network's maps may take while one window is predicted: half of what is free on a laptop of
# 4 GB, and large enough that the context around windows costs little.
MAX_WINDOW_BYTES = 2**30

# The least that --max-memory must leave for it beside the program: below, no window of a usual network fits.
MIN_WINDOW_BYTES = 2**26

# Distinct values or colours of one mask that a scan keeps: more than ADE20K's 150 classes; a mask
# with more is a photograph, blurred, or a map of instances, of which the most frequent tell enough.
MAX_SCANNED_KEYS = 256

# What is kept of earlier scans: about a kilobyte a pair, so the scans of 500,000 pairs; then it
# begins anew.
MAX_SCAN_CACHE_BYTES = 2**29

# Classes that may overlap have one bit each in 16, the widest whole numbers that OpenCV warps; the
# highest bit is kept for "ignored".
MAX_OVERLAPPING_CLASSES = 15
