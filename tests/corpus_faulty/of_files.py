"""Sets with files that are missing, twice there, or broken."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from corpus_faulty.scenes import scene
from corpus_faulty.sets import MASKS, Made, Style, starts_from, write

SPLIT = Style(seed=1)
FLAT = Style("flat", mask="index", classes=4, seed=2)
SIDE = Style("side", picture="grey", mask="ones", seed=3)
BESIDE = Style("beside", picture="jpeg", mask="color", classes=4, table=True, seed=4)


@starts_from(SPLIT)
def no_mask(root: Path, made: list[Made]) -> None:
    made[3].mask.unlink()


@starts_from(SIDE)
def no_mask_beside(root: Path, made: list[Made]) -> None:
    made[3].mask.unlink()
    made[5].mask.unlink()


@starts_from(FLAT)
def misspelt_mask(root: Path, made: list[Made]) -> None:
    made[3].mask.rename(root / "masks" / "imgg_003.png")


@starts_from(BESIDE)
def unreadable_kind(root: Path, made: list[Made]) -> None:
    """The mask was left in the drawing program's own format."""
    made[3].mask.with_suffix(".xcf").write_bytes(b"gimp xcf v011\0" + bytes(400))
    made[3].mask.unlink()


@starts_from(FLAT)
def other_numbering(root: Path, made: list[Made]) -> None:
    """Pictures count from 000, masks have other names altogether."""
    for number, one in enumerate(made):
        one.mask.rename(root / "masks" / f"labelled-{900 + number}.png")


@starts_from(FLAT)
def two_pictures(root: Path, made: list[Made]) -> None:
    write(made[3].image.with_suffix(".jpg"), Image.open(made[3].image).copy())


@starts_from(SPLIT)
def two_masks(root: Path, made: list[Made]) -> None:
    write(made[3].mask.with_suffix(".tif"), MASKS["binary"](made[3].classes_HW()))


@starts_from(SIDE)
def two_masks_beside(root: Path, made: list[Made]) -> None:
    write(root / "img_003_mask.bmp", MASKS["ones"](made[3].classes_HW()))


@starts_from(SPLIT)
def empty_picture(root: Path, made: list[Made]) -> None:
    made[3].image.write_bytes(b"")


@starts_from(SPLIT)
def cut_png(root: Path, made: list[Made]) -> None:
    content = made[3].image.read_bytes()
    made[3].image.write_bytes(content[: len(content) * 2 // 3])


@starts_from(BESIDE)
def cut_jpeg(root: Path, made: list[Made]) -> None:
    content = made[3].image.read_bytes()
    made[3].image.write_bytes(content[: len(content) // 2])


@starts_from(FLAT)
def text_as_png(root: Path, made: list[Made]) -> None:
    made[3].image.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0f3a\nsize 48211\n")


@starts_from(SPLIT)
def flipped_bytes(root: Path, made: list[Made]) -> None:
    """A few bytes of the pixels were changed on the way; the checksum of their chunk tells."""
    content = bytearray(made[3].image.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = bytes(b ^ 0x5A for b in content[middle : middle + 4])
    made[3].image.write_bytes(content)


@starts_from(BESIDE)
def page_as_jpeg(root: Path, made: list[Made]) -> None:
    made[3].image.write_text("<!DOCTYPE html><html><title>404 Not Found</title><body>no such picture</body></html>")


@starts_from(BESIDE)
def hollow_jpeg(root: Path, made: list[Made]) -> None:
    """The file has its size and nothing in it: a copy that was interrupted on a full disk."""
    made[3].image.write_bytes(bytes(made[3].image.stat().st_size))


@starts_from(SIDE)
def empty_mask_file(root: Path, made: list[Made]) -> None:
    made[3].mask.write_bytes(b"")


@starts_from(FLAT)
def cut_mask(root: Path, made: list[Made]) -> None:
    content = made[3].mask.read_bytes()
    made[3].mask.write_bytes(content[: len(content) // 2])


@starts_from(FLAT)
def animated_mask(root: Path, made: list[Made]) -> None:
    frames = [Image.fromarray(one.classes_HW()) for one in made[:3]]
    made[3].mask.unlink()
    frames[0].save(made[3].mask.with_suffix(".gif"), save_all=True, append_images=frames[1:])


@starts_from(FLAT)
def array_of_objects(root: Path, made: list[Made]) -> None:
    """An array file whose content would have to be unpickled."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (72, 96), }"
    header += b" " * (53 - len(header) % 64) + b"\n"
    made[3].mask.unlink()
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\x80\x04N."
    made[3].mask.with_suffix(".npy").write_bytes(content)


@starts_from(Style(picture="16 bits", seed=5))
def cut_tiff(root: Path, made: list[Made]) -> None:
    content = made[3].image.read_bytes()
    made[3].image.write_bytes(content[: len(content) // 2])


@starts_from(Style(picture="16 bits", seed=6))
def stack_of_slices(root: Path, made: list[Made]) -> None:
    slices = np.stack([(scene(700 + i).pixels_HWC[..., 0] * 65535).astype(np.uint16) for i in range(20)])
    tifffile.imwrite(made[3].image, slices, imagej=True, metadata={"axes": "ZYX"})


@starts_from(SPLIT)
def boundless_png(root: Path, made: list[Made]) -> None:
    """A header that promises 200,000 by 200,000 pixels."""
    head = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    made[3].image.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    )


@starts_from(SIDE)
def cut_drawing(root: Path, made: list[Made]) -> None:
    """Drawn outlines beside each picture; one file of them ends too early."""
    for one in made:
        one.mask.unlink()
        one.image.with_suffix(".json").write_text(json.dumps(drawing(one)), encoding="utf-8")
    path = made[3].image.with_suffix(".json")
    path.write_text(path.read_text()[:90])


def drawing(one: Made) -> dict[str, object]:
    """The bounding boxes of the scene's objects as LabelMe writes them."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats((one.scene.kinds_HW > 0).astype(np.uint8))
    boxes = [[int(v) for v in stats[i][:4]] for i in range(1, count)]
    height, width = one.scene.kinds_HW.shape
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": [
            {"label": "thing", "shape_type": "rectangle", "points": [[x, y], [x + w, y + h]]} for x, y, w, h in boxes
        ],
        "imagePath": one.image.name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
