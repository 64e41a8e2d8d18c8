"""The probability of each class as a band of a TIFF, for whoever decides by other rules."""

from __future__ import annotations

import numpy as np

from masksmith.inference.prediction import Prediction
from masksmith.outputs import tiff


def encode(prediction: Prediction) -> bytes:
    """Bytes: 0 for 0, 255 for 1."""
    scaled = np.round(np.clip(prediction.probabilities_KHW, 0, 1) * 255).astype(np.uint8)
    return tiff.encode(scaled, prediction.georeference, names=prediction.table.names)


def encode_16(prediction: Prediction) -> bytes:
    """Floats of 16 bits, 0 … 1."""
    half = prediction.probabilities_KHW.astype(np.float16)
    return tiff.encode(half, prediction.georeference, names=prediction.table.names)
