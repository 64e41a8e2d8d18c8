"""Figures of agreement between a prediction and the truth.

Rule: every figure comes from whole-set counts at the mask's own resolution, and what does not
occur is None ("n/a"), never 0 or 1.
"""

from masksmith.metrics.confusion import METRICS, Confusion, Figures, Layers, from_dict, summarize

__all__ = ["METRICS", "Confusion", "Figures", "Layers", "from_dict", "summarize"]
