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

# The words at the start of an NPY file that say what is in it: NumPy itself trusts no more. Usual are 128 bytes.
MAX_NPY_HEADER_BYTES = 10_000

# What may stand before the pixels of a NIfTI file: a copied DICOM header has 10 KB, tables of surfaces some MB.
MAX_NIFTI_OFFSET_BYTES = 2**26

# Tiles of a TIFF and chunks of a Zarr may reach beyond the picture: together they hold at most this many times its
# bytes, and these bytes besides, which are 1,300 tiles of 256 × 256 pixels in colour.
MAX_TILES_SHARE = 4
MAX_TILES_SPARE_BYTES = 2**28

# A file of drawn annotations (COCO, CVAT) that is parsed whole: COCO 2017 has 0.5 GB for 118,000
# pictures, and parsing takes about six times its size in memory.
MAX_ANNOTATION_BYTES = 2**30

# Such files that stay parsed at the same time, by their bytes: one of the largest, or those of all parts and of many
# folders, whose pictures are asked for in turns.
MAX_PARSED_BYTES = 2**30

# Share of the free memory that decoded pictures may take before they are read anew each time:
# the other half is for the network, whose activations are larger than the pictures.
CACHE_MEMORY_SHARE = 0.5

# Pictures shown in a figure of samples: more than this cannot be read on one screen.
FIGURE_ROWS = 4

# Rows of a large picture that are kept decoded while windows beside each other are cut from them: 2,000 rows of
# 32,000 pixels in colour.
MAX_BAND_BYTES = 2**28

# Values of a picture that is read before its turn has come, while the network answers for another: 50 million pixels
# in colour.
MAX_AHEAD_VALUES = 150_000_000

# What predictions that wait to be written may take together, with all their probabilities: four photos of 12 million
# pixels in colour with three classes.
MAX_WAITING_BYTES = 750 * 10**6

# Pictures that are answered for at the same time on a processor of many cores; each holds its pixels and its answer.
MAX_LANES = 4

# Pixels of a picture whose class probabilities are still put together in memory: with three classes 1.6 GB.
# Of larger ones the mask alone is written, part by part.
MAX_WHOLE_PIXELS = 2**27

# What probabilities of the validation part may take, in 16 bits, while cleaning is chosen: 256 pictures of
# 512 × 512 pixels and two classes. Of more, pictures evenly spread are taken; of a huge one its middle.
MAX_TUNED_BYTES = 2**28

# Pixels of them on which sizes of regions and holes are tried, some twenty times: 32 pictures of 512 × 512. A
# picture full of specks takes a tenth of a second each time.
MAX_RESIZED_PIXELS = 2**23

# Probabilities in 32 bits among which thresholds are searched: four million pixels of eight classes, in 128 MiB.
MAX_TUNED_VALUES = 2**25

# A file of settings for cleaning holds some lines; 255 classes need 20 KB.
MAX_CLEANUP_BYTES = 2**20

# A recipe with all its settings has 3 KB, and YAML takes its time: half a second or more for this.
MAX_RECIPE_BYTES = 2**14

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

# What ext4, XFS, APFS and NTFS allow for the name of one file.
MAX_NAME_BYTES = 255

# What follows is of the service (`masksmith serve`).

# One request of one picture, unless --max-mb says otherwise: a 16-bit TIFF of 8 million pixels in colour.
UPLOAD_MB = 50

# Pixels of one picture that the service answers for: the largest cameras have 61 million.
MAX_SERVED_PIXELS = 2**26

# What the class probabilities of one answer may take: of 3 classes the pixels above, of 21 still 25 million.
MAX_SERVED_BYTES = 2**31

# Requests that wait or are worked on, unless --queue says otherwise: at 50 MB each 3 GB of what was sent.
QUEUE_LENGTH = 64

# Pictures that are decoded at the same time besides those in the network: one is read, one is encoded.
MAX_BESIDE = 2

# Seconds from the last byte of a picture to its answer, unless --deadline says otherwise: what browsers and
# proxies wait for.
DEADLINE_S = 60.0

# Seconds for a body to arrive: 50 MB at 7 Mbit/s.
MAX_BODY_S = 60.0

# A batch: as many pictures as a person picks, in as many bytes as fit into memory twice.
MAX_BATCH_PICTURES = 64
MAX_BATCH_BYTES = 2**28

# The ZIP file of a batch, which is put together in memory, one batch at a time.
MAX_BATCH_ANSWER_BYTES = 2**29

# Seconds for a client to take so much of its answer: as slow a line as for a body. Longer answers have longer.
MAX_SEND_S = 60.0
MAX_SEND_BYTES = 50 * 10**6

# Answers that their clients have yet to take: two of the largest batches. Beyond, nothing more is begun.
MAX_UNSENT_BYTES = 2**30

# Seconds for connections to close when all is answered, before the service leaves without waiting for them:
# the last part of an answer, 256 KB, over a slow line.
MAX_LEAVING_S = 10
