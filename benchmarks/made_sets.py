"""Five made data sets whose truth is known, for kinds of data that the real sets at hand lack.

    python benchmarks/made_sets.py OUT [--only cracks,thumbs] [--seed 0]

Writes OUT/<set>/{train,val}/{images,masks}/NNNN.(png|tif) and OUT/<set>/classes.csv. The rule: each picture
depends on nothing but the seed, its set, its part and its number, so that a set can be made again
anywhere, alone or with the others. The sets are to tell methods apart: every class has something
beside it that looks like it and is another class, and the mask says what was drawn, also where the
picture hardly shows it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import tifffile

Array: TypeAlias = np.ndarray[Any, Any]
Rng: TypeAlias = np.random.Generator
Sample: TypeAlias = tuple[Array, Array]
"""A picture (HWC or HW) and its mask (HW)."""


# --- what all sets are made of -----------------------------------------------------------------


def noise(rng: Rng, shape: tuple[int, int], scale_y: float, scale_x: float = 0) -> Array:
    """Smooth random field of mean 0 and deviation 1 with blobs of about these sizes in pixels."""
    scales = np.array([scale_y, scale_x or scale_y])
    steps = np.maximum(1, scales / 2)
    grid: Array = rng.standard_normal((shape / steps).astype(int) + 5, np.float32)
    # Blurred in the grid, so that its squares do not show.
    sigma_y, sigma_x = scales / steps / 2
    grid = cv2.GaussianBlur(grid, (0, 0), sigma_x, sigmaY=sigma_y)[1:-1, 1:-1]
    field: Array = cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
    field -= field.mean()
    field /= field.std() + 1e-6
    return field


def texture(rng: Rng, shape: tuple[int, int], weights: dict[float, float]) -> Array:
    """Sum of random fields: weight by size of blob."""
    return sum((weight * noise(rng, shape, scale) for scale, weight in weights.items()), np.zeros(shape, np.float32))


def lighting(rng: Rng, shape: tuple[int, int], amount: float) -> Array:
    """Factor around 1: a slope in some direction and a wide unevenness."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    slope = np.cos(angle) * columns + np.sin(angle) * rows
    factor: Array = 1 + amount * (slope + 0.4 * noise(rng, shape, max(shape) / 2))
    return factor


def soft(mask: Array, sigma: float) -> Array:
    """The mask as an alpha with blurred edges."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)


def blend(picture: Array, colour: Array | float, alpha: Array) -> Array:
    """Lay a colour (or a picture) over the picture."""
    alpha = alpha if picture.ndim == 2 else alpha[..., None]
    return picture * (1 - alpha) + np.asarray(colour, np.float32) * alpha


def blobs(rng: Rng, shape: tuple[int, int], scale: float, above: float) -> Array:
    """Where a random field stands above so many deviations."""
    field: Array = texture(rng, shape, {scale: 1, scale / 4: 0.25}) > above
    return field


def ellipse(
    mask: Array, centre: tuple[float, float], axes: tuple[float, float], degrees: float, value: int = 1
) -> None:
    """Draw a filled ellipse; centre is (x, y)."""
    cv2.ellipse(
        mask, (round(centre[0]), round(centre[1])), (round(axes[0]), round(axes[1])), degrees, 0, 360, value, -1
    )


def spot(rng: Rng, shape: tuple[int, int]) -> tuple[float, float]:
    """A point (x, y) inside the picture."""
    return rng.uniform(0, shape[1]), rng.uniform(0, shape[0])


def box(centre: tuple[float, float], size: tuple[float, float], degrees: float) -> Array:
    """Corners of a turned rectangle."""
    return np.round(cv2.boxPoints((centre, size, degrees))).astype(np.int32)


def bytes_of(picture: Array) -> Array:
    """As uint8."""
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def crack(rng: Rng, mask: Array, length: float, width: float, *, branches: int = 2) -> None:
    """Draw a thin line into the mask that wanders, swells, thins out and branches."""
    todo = [(np.array(spot(rng, mask.shape[:2])), rng.uniform(0, 2 * np.pi), length, width, branches)]
    while todo:
        point, angle, left, thick, more = todo.pop()
        heading = angle
        while left > 0:
            heading += rng.normal(0, 0.35) - 0.25 * (heading - angle)  # jagged, but not in circles
            step = rng.uniform(3, 9)
            ahead = point + step * np.array([np.cos(heading), np.sin(heading)])
            thick = float(np.clip(thick + rng.normal(0, 0.35), 1, 5))
            cv2.line(mask, np.round(point).astype(int).tolist(), np.round(ahead).astype(int).tolist(), 1, round(thick))
            if more and rng.random() < step / length:
                todo.append(
                    (ahead, heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.3), left / 2, thick - 1, more - 1)
                )
            point, left = ahead, left - step


# --- the five sets -----------------------------------------------------------------------------


def cracks(rng: Rng) -> Sample:
    """Concrete or asphalt with thin cracks, beside joints, stains, pores and shadows."""
    shape = (448, 448)
    mask = np.zeros(shape, np.uint8)
    if rng.random() > 0.25:
        for _ in range(rng.integers(2, 8)):
            crack(rng, mask, rng.uniform(200, 700), rng.uniform(1.5, 5))
    grain = rng.uniform(6, 18)
    grey = rng.uniform(90, 170) + texture(rng, shape, {1: grain, 3: grain * 0.7, 12: 5, 90: 8})
    grey = blend(grey, grey * rng.uniform(0.6, 0.85), soft(blobs(rng, shape, 70, 1.2), rng.uniform(1, 6)))
    grey = blend(grey, 40, 0.8 * soft(blobs(rng, shape, 4, rng.uniform(2.0, 2.8)), 0.7))  # pores
    marks = np.zeros(shape, np.uint8)
    for _ in range(rng.integers(0, 4)):  # joints and pencil lines: dark and thin, but straight
        start, end = np.array(spot(rng, shape)), np.array(spot(rng, shape))
        ends = [np.round(start + far * (end - start)).astype(int).tolist() for far in rng.uniform(0.3, 4, 2) * (-1, 1)]
        cv2.line(marks, ends[0], ends[1], 1, int(rng.integers(1, 6)))
    grey = blend(grey, grey * rng.uniform(0.4, 0.7), soft(marks, 0.8))
    # Depth changes along a crack: here and there it cannot be told from the grain.
    depth = np.clip(0.45 + 0.25 * noise(rng, shape, 60), 0.08, 0.9)
    grey = blend(grey, grey * 0.3, soft(mask, 0.8) * depth)
    if rng.random() < 0.4:  # a shadow with a wandering edge
        grey = grey * (1 - 0.35 * soft(noise(rng, shape, 250) > 0.6, 1.5))
    grey = soft(grey * lighting(rng, shape, 0.15), rng.uniform(0.3, 1.0)) + rng.normal(0, 3, shape)
    return bytes_of(grey[..., None] * (1 + rng.normal(0, 0.03, 3))), mask


def _animal(rng: Rng, shape: tuple[int, int]) -> Array:
    """Silhouette: body, head with ears, legs and tail, turned and mirrored."""
    mask = np.zeros(shape, np.uint8)
    size, side = rng.uniform(0.75, 1.25) * 25, rng.choice([-1, 1])
    turn = np.deg2rad(rng.normal(0, 25))
    middle = np.array([shape[1], shape[0]]) / 2 + rng.normal(0, 10, 2)

    def part(x: float, y: float, axes: tuple[float, float], degrees: float) -> None:
        x, y = side * x * size, y * size
        centre = middle + np.array([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y])
        ellipse(mask, tuple(centre), (axes[0] * size, axes[1] * size), side * degrees + np.rad2deg(turn))

    part(0, 0, (rng.uniform(1.1, 1.5), rng.uniform(0.6, 0.95)), rng.normal(0, 8))
    head = rng.uniform(1.1, 1.5), rng.uniform(-1.1, -0.4)
    part(*head, (rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.65)), 0)
    for ear in (-0.35, 0.3):
        part(head[0] + ear, head[1] - 0.55, (0.16, rng.uniform(0.25, 0.45)), ear * 60)
    for leg in (-1.0, -0.65, 0.6, 0.95):
        part(leg + rng.normal(0, 0.1), 1.0, (rng.uniform(0.14, 0.24), rng.uniform(0.5, 0.8)), rng.normal(0, 12))
    part(-1.6, rng.uniform(-0.8, 0.1), (rng.uniform(0.5, 0.8), 0.14), rng.uniform(-10, 60))
    return mask


def _fur(rng: Rng, shape: tuple[int, int], colour: Array) -> Array:
    """Streaky texture in two shades of a colour."""
    patches = soft(noise(rng, shape, 30) > rng.uniform(0, 2), 1.5)[..., None]
    streaks = noise(rng, shape, *rng.permutation([2.0, 6.0])) * 9 + noise(rng, shape, 12) * 8
    fur: Array = colour * (1 - patches) + np.roll(colour, 1) * rng.uniform(0.4, 1.3) * patches
    fur += streaks[..., None]
    return fur


def thumbs(rng: Rng) -> Sample:
    """An animal-like body, its outline as a class, before clutter of the same colours and texture."""
    shape = (120, 120)
    body = _animal(rng, shape)
    palette = rng.uniform(40, 210) + rng.normal(0, 25, (4, 3))  # animal and clutter share it
    picture = _fur(rng, shape, palette[0])
    floor = soft(np.arange(120)[:, None] + 4 * noise(rng, shape, 40) > rng.uniform(60, 110), 1)
    picture = blend(picture, _fur(rng, shape, palette[1]), floor)
    for _ in range(rng.integers(3, 10)):
        thing = np.zeros(shape, np.uint8)
        axes = tuple(rng.uniform(5, 26, 2))
        if rng.random() < 0.6:
            ellipse(thing, spot(rng, shape), axes, rng.uniform(0, 180))
        else:
            cv2.fillPoly(thing, [box(spot(rng, shape), axes, rng.uniform(0, 90))], 1)
        near = palette[rng.integers(0, 4)] + rng.normal(0, 10, 3)
        picture = blend(picture, _fur(rng, shape, near), soft(thing, rng.uniform(0.5, 2)))
    picture = picture * (1 - 0.3 * soft(np.roll(body, 8, axis=0), 5))[..., None]  # its shadow
    picture = blend(picture, _fur(rng, shape, palette[2]), soft(body, rng.uniform(0.7, 1.6)))
    picture = picture * lighting(rng, shape, 0.25)[..., None] + rng.normal(0, 4, (*shape, 3))
    spoilt = cv2.imencode(".jpg", bytes_of(picture), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 92))])[1]
    edge: Array = cv2.morphologyEx(body, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    edge = edge | (cv2.dilate(body, np.ones((5, 5), np.uint8)) - body)  # 1 px within, 2 px without
    return np.asarray(cv2.imdecode(spoilt, cv2.IMREAD_COLOR)), np.where(edge, 2, body).astype(np.uint8)


# R, G, B and near infrared of the grounds of `fourband`, in the order of its classes; roofs have colours of their own.
GROUNDS = np.array(
    [(140, 120, 98, 150), (0, 0, 0, 0), (108, 106, 104, 112), (52, 74, 46, 150), (88, 108, 68, 168), (40, 52, 54, 16)],
    np.float32,
)
ROOFS = np.array(
    [(150, 80, 65, 130), (112, 110, 108, 118), (75, 74, 76, 80), (178, 174, 165, 180), (138, 122, 104, 145)]
)


def fourband(rng: Rng) -> Sample:
    """Houses, roads, trees and water from above, with shadows that are as dark as water."""
    shape = (256, 256)
    mask = np.where(texture(rng, shape, {80: 1, 20: 0.4}) > rng.uniform(-0.6, 0.6), 4, 0).astype(np.uint8)
    mask[blobs(rng, shape, 110, rng.uniform(1.0, 2.4))] = 5
    shade, roofs = np.zeros(shape, np.uint8), np.zeros((*shape, 4), np.float32)
    heading = rng.uniform(0, 180)
    for _ in range(rng.integers(1, 4)):
        cv2.fillPoly(mask, [box(spot(rng, shape), (900, rng.uniform(8, 18)), heading + 90 * rng.integers(0, 2))], 2)
    fall = rng.uniform(4, 14) * np.array([np.cos(sun := rng.uniform(0, 2 * np.pi)), np.sin(sun)])
    for _ in range(rng.integers(2, 18)):
        centre, size = spot(rng, shape), tuple(rng.uniform(12, 46, 2))
        corners = box(centre, size, heading + rng.normal(0, 3))
        cv2.fillConvexPoly(shade, cv2.convexHull(np.vstack([corners, corners + np.round(fall).astype(np.int32)])), 1)
        cv2.fillPoly(mask, [corners], 1)
        cv2.fillPoly(roofs, [corners], (ROOFS[rng.integers(0, len(ROOFS))] * rng.uniform(0.8, 1.2)).tolist())
    shade[mask == 1] = 0
    for _ in range(rng.integers(5, 60)):
        centre, radius = spot(rng, shape), rng.uniform(3, 10)
        ellipse(shade, (centre[0] + fall[0] / 2, centre[1] + fall[1] / 2), (radius, radius), 0)
        ellipse(mask, centre, (radius, radius * rng.uniform(0.7, 1)), rng.uniform(0, 180), 3)
    shade[mask == 3] = 0
    grounds = GROUNDS * (1 + rng.normal(0, 0.1, (6, 1))) + rng.normal(0, 5, GROUNDS.shape)
    picture = np.where((mask == 1)[..., None], roofs, grounds[mask].astype(np.float32))
    rough = np.array([0.10, 0.05, 0.06, 0.22, 0.10, 0.05], np.float32)[
        mask
    ]  # crowns are rough, roofs and water are not
    picture *= (1 + rough * texture(rng, shape, {2: 0.7, 5: 0.7, 40: 0.6}))[..., None]
    picture = blend(picture, picture * np.array([0.35, 0.38, 0.45, 0.30]), soft(shade, 1))
    haze = rng.uniform(0, 0.35)
    picture = picture * rng.uniform(0.7, 1.25) * (1 - haze) + haze * np.array([120, 130, 145, 60])
    return bytes_of(soft(picture, rng.uniform(0.6, 1.1)) + rng.normal(0, 3, picture.shape)), mask


# Reflectance × 10000 of `twelveband` in 12 bands from blue to short-wave infrared. Conifer and broadleaf differ only
# in bands 6 to 9, grass and crop hardly but by the rows of crops, bare and built-up hardly but by the grain of towns.
SPECTRA = np.array(
    [
        (700, 620, 560, 420, 350, 300, 270, 250, 230, 200, 130, 100),  # water
        (420, 400, 560, 420, 850, 1900, 2150, 2250, 2300, 2200, 1150, 560),  # conifer
        (430, 410, 590, 440, 900, 2250, 2750, 2900, 2950, 2300, 1200, 590),  # broadleaf
        (560, 600, 900, 760, 1300, 2500, 2950, 3100, 3200, 3000, 1900, 1100),  # grass
        (570, 610, 880, 800, 1320, 2450, 2900, 3050, 3180, 2950, 2000, 1180),  # crop
        (900, 1050, 1350, 1700, 1900, 2050, 2150, 2250, 2350, 2400, 2900, 2400),  # bare
        (1000, 1150, 1350, 1600, 1780, 1950, 2050, 2150, 2250, 2300, 2700, 2350),  # built-up
        (5200, 5300, 5200, 5300, 5400, 5500, 5600, 5700, 5700, 5600, 4200, 3300),  # cloud
    ],
    np.float32,
)
CLOUD = 7


def twelveband(rng: Rng) -> Sample:
    """Patches of land cover with overlapping spectra under haze, clouds and their shadows."""
    shape = (120, 120)
    seeds = rng.uniform(-10, 130, (int(rng.integers(8, 30)), 2))
    kinds = rng.choice(CLOUD, len(seeds), p=[0.12, 0.16, 0.16, 0.17, 0.16, 0.12, 0.11])
    warped = np.mgrid[:120, :120] + np.stack([texture(rng, shape, {30: 5, 8: 1.5}) for _ in range(2)])
    patch = ((warped[None] - seeds[:, :, None, None]) ** 2).sum(1).argmin(0)
    mask = kinds[patch].astype(np.uint8)
    # Each patch is its own mixture: no two fields of one class look the same.
    mixed = SPECTRA[kinds] * (1 + rng.normal(0, 0.10, (len(seeds), 1)) + rng.normal(0, 0.05, (len(seeds), 12)))
    picture = soft(mixed[patch], 0.7)
    rows = np.sin(np.add(*np.mgrid[:120, :120] * rng.uniform(0.5, 1.3, (2, 1, 1))) + noise(rng, shape, 60))
    picture *= (1 + 0.09 * rows * (mask == 4) + 0.16 * noise(rng, shape, 2) * (mask == 6))[..., None]
    picture *= (1 + texture(rng, shape, {1: 0.03, 4: 0.05, 25: 0.06}))[..., None]
    if rng.random() < 0.45:
        cloud = blobs(rng, shape, 45, rng.uniform(0.8, 1.8))
        shadow = np.roll(cloud, rng.integers(6, 16, 2), (0, 1)) & ~cloud
        picture = blend(picture, picture * 0.4, soft(shadow, 1.5))
        thin = soft(cloud, 2) * np.clip(0.7 + 0.25 * noise(rng, shape, 20), 0.25, 1)
        picture = blend(picture, np.broadcast_to(SPECTRA[CLOUD], picture.shape), thin)
        mask[cloud] = CLOUD
    haze = rng.uniform(0, 1200) * np.clip(1 + 0.4 * noise(rng, shape, 80), 0, 2)
    picture = picture * rng.uniform(0.75, 1.25) + haze[..., None] * np.linspace(1, 0.1, 12) ** 1.5
    picture += rng.normal(0, 60, picture.shape)
    return np.clip(picture, 0, 10000).astype(np.uint16), mask


def _small_crack(rng: Rng, mask: Array) -> None:
    crack(rng, mask, rng.uniform(30, 100), rng.uniform(1, 3), branches=1)


def _scratch(rng: Rng, mask: Array) -> None:
    start, angle = np.array(spot(rng, mask.shape[:2])), rng.uniform(0, 2 * np.pi)
    bend = start + rng.uniform(10, 45) * np.array([np.cos(angle), np.sin(angle)])
    end = bend + rng.uniform(10, 45) * np.array([np.cos(angle + 0.1), np.sin(angle + 0.1)])
    line = np.round([start, bend, end]).astype(np.int32)
    cv2.polylines(mask, [line], False, 1, int(rng.integers(1, 4)))


def _hole(rng: Rng, mask: Array) -> None:
    axes = rng.uniform(2, 10)
    ellipse(mask, spot(rng, mask.shape[:2]), (axes, axes * rng.uniform(0.7, 1)), rng.uniform(0, 180))


def _stain(rng: Rng, mask: Array) -> None:
    shape = mask.shape[:2]
    disc = np.zeros(shape, np.uint8)
    ellipse(disc, spot(rng, shape), tuple(rng.uniform(7, 22, 2)), rng.uniform(0, 180))
    mask[(soft(disc, 4) + 0.15 * noise(rng, shape, 8)) > 0.5] = 1
    mask[cv2.dilate(disc, np.ones((9, 9), np.uint8)) == 0] = 0  # nothing far from it


# How a defect is drawn, how dark it is (least, most) and how blurred, in the order of the classes of `defects`.
DEFECTS: tuple[tuple[Callable[[Rng, Array], None], tuple[float, float], float], ...] = (
    (_scratch, (0.2, 0.45), 0.6),  # or as much brighter
    (_hole, (0.35, 0.7), 0.8),
    (_stain, (0.12, 0.4), 1.5),
    (_small_crack, (0.3, 0.6), 0.6),
)


def defects(rng: Rng) -> Sample:
    """Machined metal, mostly sound; tool marks, oil, dust and drilled marks are harmless."""
    shape = (int(rng.integers(120, 501)), int(rng.integers(120, 501)))
    along = rng.permutation([1.0, rng.uniform(25, 80)])
    grey = rng.uniform(95, 175) * (1 + rng.uniform(0.03, 0.09) * noise(rng, shape, *along))
    grey = grey * (1 + texture(rng, shape, {1: 0.03, 6: 0.015, 60: 0.05}))
    marks = np.zeros(shape, np.uint8)
    for _ in range(rng.integers(0, 6)):  # tool marks run with the grain, scratches across it
        x, y = (int(value) for value in spot(rng, shape))
        far = int(rng.uniform(10, 90))
        cv2.line(marks, (x, y), (x + far, y) if along[1] > 1 else (x, y + far), 1, int(rng.integers(1, 3)))
    grey = blend(grey, grey * rng.choice([0.65, 1.4]), 0.8 * soft(marks, 0.6))
    grey = blend(grey, grey * 1.2, 0.5 * soft(blobs(rng, shape, 50, 1.9), 4))  # oil shines
    grey = blend(grey, grey * 0.8, soft(noise(rng, shape, 90) > 1.7, 14))  # a reflection, without an edge
    grey = blend(grey, rng.choice([60, 230]), 0.7 * soft(blobs(rng, shape, 2, 3.4), 0.5))  # dust
    if rng.random() < 0.3:  # punched letters
        place = [round(value * 0.7) for value in spot(rng, shape)]
        word = "".join(rng.choice(list("ABEHKT0357"), 4))
        stamp = cv2.putText(np.zeros(shape, np.uint8), word, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1, 2)
        grey = blend(grey, grey * 0.55, soft(stamp, 0.7))
    mask = np.zeros(shape, np.uint8)
    for kind in rng.integers(0, 4, rng.integers(1, 6)) if rng.random() < 1 / 3 else ():
        draw, dark, blur = DEFECTS[kind]
        one = np.zeros(shape, np.uint8)
        draw(rng, one)
        rim = soft(cv2.dilate(one, np.ones((3, 3), np.uint8)) - one, 0.7) * (0.25 if kind == 1 else 0)
        grey = blend(
            grey + 255 * rim * rng.random(),
            grey * (1 - rng.uniform(*dark) * (rng.choice([-1, 1]) if kind == 0 else 1)),
            soft(one, blur),
        )
        mask[one == 1] = kind + 1
    grey = soft(grey * lighting(rng, shape, 0.2), rng.uniform(0.3, 0.8)) + rng.normal(0, 2.5, shape)
    return bytes_of(grey), mask


# --- writing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Maker:
    """One set: how a sample is drawn, how many there are, and what the classes are called."""

    draw: Callable[[Rng], Sample]
    train: int
    val: int
    classes: tuple[str, ...]
    pixel_m: float = 0
    """Size of a pixel on the ground; 0: a PNG, without a place on earth."""


MAKERS: dict[str, Maker] = {
    "cracks": Maker(cracks, 120, 30, ("sound", "crack")),
    "thumbs": Maker(thumbs, 1200, 200, ("background", "body", "outline")),
    "fourband": Maker(fourband, 80, 20, ("bare", "building", "road", "tree", "grass", "water"), 0.5),
    "twelveband": Maker(
        twelveband, 300, 60, ("water", "conifer", "broadleaf", "grass", "crop", "bare", "built-up", "cloud"), 10
    ),
    "defects": Maker(defects, 250, 60, ("background", "scratch", "hole", "stain", "crack")),
}
COLOURS = ((0, 0, 0), (230, 60, 50), (60, 130, 240), (30, 120, 50), (150, 210, 90), (240, 190, 60), (150, 90, 180), (250,) * 3)  # fmt: skip


def write_geotiff(path: Path, picture: Array, number: int, pixel_m: float) -> None:
    """Write a tile of UTM zone 33 N; tiles lie side by side in rows of 20, so that parts 5000 apart do not touch."""
    side_m = picture.shape[0] * pixel_m
    east, north = 400_000 + number % 20 * side_m, 5_800_000 - number // 20 * side_m
    # Keys: projected, pixels are areas, EPSG:32633.
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
    tags = [
        (33550, "d", 3, (pixel_m, pixel_m, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, east, north, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    photometric, more = (
        ("rgb", picture.shape[2] - 3) if picture.dtype == np.uint8 else ("minisblack", picture.shape[2] - 1)
    )
    tifffile.imwrite(
        path, picture, photometric=photometric, planarconfig="contig", extrasamples=[0] * more,
        extratags=tags, metadata=None, software=False,
    )  # fmt: skip


def make(root: Path, name: str, seed: int) -> str:
    """Write one set and say how many pictures it has and which share of the pixels each class."""
    maker = MAKERS[name]
    pixels = np.zeros(len(maker.classes), np.int64)
    for part_no, (part, count) in enumerate((("train", maker.train), ("val", maker.val))):
        images, masks = root / name / part / "images", root / name / part / "masks"
        images.mkdir(parents=True, exist_ok=True)
        masks.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            rng = np.random.default_rng([seed, list(MAKERS).index(name), part_no, number])
            picture, mask = maker.draw(rng)
            pixels += np.bincount(mask.ravel(), minlength=len(pixels))
            cv2.imwrite(str(masks / f"{number:04}.png"), mask)
            if maker.pixel_m:
                write_geotiff(images / f"{number:04}.tif", picture, 5000 * part_no + number, maker.pixel_m)
            else:
                cv2.imwrite(str(images / f"{number:04}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    lines = [f"{index},{label},{','.join(map(str, COLOURS[index]))}\n" for index, label in enumerate(maker.classes)]
    (root / name / "classes.csv").write_text("index,name,r,g,b\n" + "".join(lines))
    shares = ", ".join(
        f"{label} {share:.2%}" for label, share in zip(maker.classes, pixels / pixels.sum(), strict=True)
    )
    return f"{name}: {maker.train} train, {maker.val} val; {shares}"


def main() -> None:
    """Make the chosen sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the sets")
    parser.add_argument("--only", default=",".join(MAKERS), help="names of sets with commas between; all without")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in MAKERS]:
        parser.error(f"--only knows {', '.join(MAKERS)}, not {', '.join(unknown)}.")
    cv2.setNumThreads(1)
    for name in names:
        print(make(chosen.out, name, chosen.seed), flush=True)


if __name__ == "__main__":
    main()
