"""Outlines of the shapes that drawing programs have: ellipses and rectangles.

Rule: corners as they were drawn; a curve is true to a twentieth of a pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def ellipse(center: tuple[float, float], radii: tuple[float, float], turned_deg: float = 0.0) -> F64:
    """The outline of an ellipse, turned clockwise on the screen, true to a twentieth of a pixel."""
    # The middle of a chord is r * (1 - cos(pi / n)) off the circle, about r * (pi / n)² / 2.
    count = int(np.clip(np.pi * np.sqrt(max(*radii, 1.0) / 0.1), 16, 4096))
    angle = np.arange(count) * (2 * np.pi / count)
    around: F64 = np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], axis=1)
    return _turned(around, turned_deg) + np.array(center, np.float64)


def rectangle(corner: tuple[float, float], opposite: tuple[float, float], turned_deg: float = 0.0) -> F64:
    """The outline of a rectangle, turned clockwise on the screen about its centre."""
    first, last = np.array(corner, np.float64), np.array(opposite, np.float64)
    half = (last - first) / 2
    around: F64 = half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return _turned(around, turned_deg) + (first + half)


def _turned(points: F64, degrees: float) -> F64:
    # Without this branch an upright rectangle would lose its exact corners.
    if degrees == 0:
        return points
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned: F64 = points @ np.array([[cos, sin], [-sin, cos]])
    return turned
