"""Faulty data sets, one fault in each, and healthy ones: what ``masksmith check`` has to find, and to leave alone.

Each is written by a script into an empty folder. Rule: a set is what people really have; it is
never bent to please the checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corpus_faulty import healthy, of_files, of_masks, of_parts, of_pictures, of_places, of_tables
from corpus_faulty.sets import Style

# Each kind of finding, and how bad it is.
KINDS: dict[str, str] = {
    "unpaired": "fault",
    "ambiguous": "fault",
    "corrupt": "fault",
    "size": "fault",
    "transposed": "fault",
    "undefined": "fault",
    "lossy": "fault",
    "picture as mask": "fault",
    "one value": "fault",
    "channels": "fault",
    "dtype": "fault",
    "overlap": "fault",
    "encoding": "fault",
    "numbers": "fault",
    "too few": "fault",
    "class table": "fault",
    "empty part": "fault",
    "turned": "warning",
    "shifted": "warning",
    "inverted": "warning",
    "empty masks": "warning",
    "absent class": "warning",
    "class in one part": "warning",
    "duplicates": "warning",
    "leak": "warning",
    "shared scene": "warning",
    "adjacent tiles": "warning",
    "torn group": "warning",
    "scales": "warning",
    "constant": "warning",
    "saturated": "warning",
    "numbered things": "warning",
    "alike colours": "warning",
    "spare masks": "warning",
    "ignored folder": "warning",
}


@dataclass(frozen=True)
class Faulty:
    """A set with one fault.

    ``files`` are patterns of the guilty files, from the set's folder: each must be told, and no
    file that none of them names (the picture of a guilty mask is as guilty). ``also`` are kinds
    that rightly come along, ``near`` are files that may be told.
    """

    make: Callable[[Path], None]
    finds: str
    files: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


_TRAIN, _VAL = "train/images/img_003.png", "val/images/img_014.png"

FAULTY: dict[str, Faulty] = {
    # Files that are missing, or twice there.
    "a picture without its mask": Faulty(of_files.no_mask, "unpaired", (_TRAIN,)),
    "two without masks beside them": Faulty(of_files.no_mask_beside, "unpaired", ("img_003.png", "img_005.png")),
    "a misspelt mask": Faulty(
        of_files.misspelt_mask, "unpaired", ("images/img_003.png",), ("spare masks",), ("masks/imgg_003.png",)
    ),
    "a mask in a drawing program's format": Faulty(of_files.unreadable_kind, "unpaired", ("train/img_003.jpg",)),
    "masks numbered otherwise": Faulty(
        of_files.other_numbering, "unpaired", ("images/*",), ("spare masks",), ("masks/*",)
    ),
    "two pictures of one name": Faulty(of_files.two_pictures, "ambiguous", ("images/img_003.jpg",)),
    "two masks for one picture": Faulty(of_files.two_masks, "ambiguous", ("train/masks/img_003.tif",)),
    "two masks beside one picture": Faulty(of_files.two_masks_beside, "ambiguous", ("img_003_mask.bmp",)),
    # Files that are broken.
    "an empty picture file": Faulty(of_files.empty_picture, "corrupt", (_TRAIN,)),
    "a PNG cut short": Faulty(of_files.cut_png, "corrupt", (_TRAIN,)),
    "a JPEG cut short": Faulty(of_files.cut_jpeg, "corrupt", ("train/img_003.jpg",)),
    "a link of git-lfs in place of a PNG": Faulty(of_files.text_as_png, "corrupt", ("images/img_003.png",)),
    "a PNG with flipped bytes": Faulty(of_files.flipped_bytes, "corrupt", (_TRAIN,)),
    "a web page saved as JPEG": Faulty(of_files.page_as_jpeg, "corrupt", ("train/img_003.jpg",)),
    "a JPEG of zeros": Faulty(of_files.hollow_jpeg, "corrupt", ("train/img_003.jpg",)),
    "an empty mask file": Faulty(of_files.empty_mask_file, "corrupt", ("img_003_mask.png",)),
    "a mask cut short": Faulty(of_files.cut_mask, "corrupt", ("masks/img_003.png",)),
    "an animated mask": Faulty(of_files.animated_mask, "corrupt", ("masks/img_003.gif",)),
    "an array that wants unpickling": Faulty(of_files.array_of_objects, "corrupt", ("masks/img_003.npy",)),
    "a TIFF cut short": Faulty(of_files.cut_tiff, "corrupt", ("train/images/img_003.tif",)),
    "a stack of slices": Faulty(of_files.stack_of_slices, "corrupt", ("train/images/img_003.tif",)),
    "a PNG without bounds": Faulty(of_files.boundless_png, "corrupt", (_TRAIN,)),
    "a drawing cut short": Faulty(of_files.cut_drawing, "corrupt", ("img_003.json",)),
    # Masks of another size or direction.
    "a mask of half the size": Faulty(of_masks.half_size, "size", ("train/masks/img_003.png",)),
    "a mask a row short": Faulty(of_masks.a_row_short, "size", ("masks/img_003.png",)),
    "all masks of double size": Faulty(of_masks.double_size, "size", ("train_labels/*", "val_labels/*")),
    "two padded masks": Faulty(of_masks.padded, "size", ("img_003_mask.png", "img_004_mask.png")),
    "a transposed mask": Faulty(of_masks.one_transposed, "transposed", ("train/masks/img_003.png",)),
    "all masks transposed": Faulty(of_masks.all_transposed, "transposed", ("train/masks/*", "val/masks/*")),
    "a mask turned": Faulty(of_masks.one_turned, "transposed", ("masks/img_003.png",)),
    "square masks transposed": Faulty(of_masks.all_transposed_squares, "turned", ("train/masks/*", "val/masks/*")),
    "some square masks transposed": Faulty(
        of_masks.some_transposed_squares, "turned", tuple(f"train/masks/img_00{i}.png" for i in (3, 4, 5))
    ),
    "some square masks turned": Faulty(
        of_masks.some_turned_squares, "turned", tuple(f"val/masks/img_01{i}.png" for i in (2, 3, 4))
    ),
    "a picture turned by its camera": Faulty(
        of_masks.turned_by_its_camera, "transposed", ("train_labels/img_003.png",)
    ),
    # Masks of other values than classes.
    "a value without class": Faulty(of_masks.unknown_value, "undefined", ("masks/img_003.png",)),
    "a colour without class": Faulty(of_masks.unknown_colour, "undefined", ("train_labels/img_003.png",)),
    "two masks counted from 1": Faulty(
        of_masks.counted_from_one, "undefined", ("masks/img_003.png", "masks/img_004.png")
    ),
    "a value of 16 bits without class": Faulty(of_masks.sixteen_bit_value, "undefined", ("masks/img_003.png",)),
    "a palette index without class": Faulty(of_masks.unknown_index, "undefined", ("train/masks/img_003.png",)),
    "a class that the table lacks": Faulty(
        of_masks.class_that_the_table_lacks, "undefined", ("train/masks/*", "val/masks/*"), (), ("classes.csv",)
    ),
    "JPEG masks": Faulty(of_masks.jpeg_masks, "lossy", ("*_mask.jpg",)),
    "a JPEG mask among others": Faulty(of_masks.jpeg_mask, "lossy", ("masks/img_003.jpg",)),
    "JPEG masks saved as PNG": Faulty(of_masks.jpeg_saved_as_png, "lossy", ("train/masks/*", "val/masks/*")),
    "masks with soft edges": Faulty(of_masks.soft_edges, "lossy", ("train/masks/*", "val/masks/*")),
    "colour masks with soft edges": Faulty(of_masks.soft_colours, "lossy", ("train_labels/*", "val_labels/*")),
    "grey masks enlarged": Faulty(of_masks.enlarged, "lossy", ("train/masks/*", "val/masks/*")),
    "colour masks enlarged": Faulty(of_masks.enlarged_colours, "lossy", ("train/masks/*", "val/masks/*")),
    "index masks enlarged": Faulty(of_masks.enlarged_indices, "lossy", ("masks/*",)),
    "one mask with soft edges": Faulty(of_masks.one_soft_mask, "lossy", ("train_labels/img_003.png",)),
    "pictures as masks": Faulty(of_masks.pictures_as_masks, "picture as mask", ("train/masks/*", "val/masks/*")),
    "one picture as mask": Faulty(of_masks.one_picture_as_mask, "picture as mask", ("img_003_mask.png",)),
    "overlays as masks": Faulty(of_masks.overlays, "picture as mask", ("masks/*",)),
    "a photograph among masks": Faulty(of_masks.photograph_among_masks, "picture as mask", ("masks/img_003.png",)),
    "black masks": Faulty(of_masks.all_black, "one value", (), ("empty masks",)),
    "white masks": Faulty(of_masks.all_white, "one value"),
    "masks of one colour": Faulty(of_masks.one_colour, "one value"),
    "0/1 and 0/255": Faulty(
        of_masks.two_ways_of_binary, "encoding", tuple(f"train/masks/img_00{i}.png" for i in (3, 4, 5))
    ),
    "0/1 and 0/255, half and half": Faulty(of_masks.half_and_half, "encoding", ("img_*_mask.png",)),
    "palettes that contradict": Faulty(of_masks.other_palette, "encoding", ("masks/img_003.png", "masks/img_004.png")),
    "colour masks among index masks": Faulty(
        of_masks.colours_among_indices, "encoding", tuple(f"train/masks/img_00{i}.png" for i in (3, 4, 5))
    ),
    "bands that overlap": Faulty(of_masks.bands_that_overlap, "overlap", ("masks/img_003.tif", "masks/img_004.tif")),
    "0/128 among 0/255": Faulty(of_masks.two_brightnesses, "encoding", tuple(f"img_00{i}_mask.png" for i in (3, 4, 5))),
    "numbered cells": Faulty(of_masks.numbered_things, "numbered things", ("masks/*",), ("class in one part",)),
    # The class table.
    "a table without rows": Faulty(of_tables.no_rows, "class table", ("classes.csv",)),
    "one name twice": Faulty(of_tables.twice_one_name, "class table", ("classes.csv",)),
    "one value twice": Faulty(of_tables.twice_one_value, "class table", ("classes.csv",), ("undefined",)),
    "one colour twice": Faulty(
        of_tables.twice_one_colour, "class table", ("classes.csv",), ("alike colours", "undefined")
    ),
    "a table of one class": Faulty(of_tables.one_class, "class table", ("classes.csv",), ("undefined",)),
    "a colour beyond 255": Faulty(of_tables.beyond_255, "class table", ("classes.csv",)),
    "words for numbers": Faulty(of_tables.words_for_numbers, "class table", ("classes.csv",)),
    "a class without name": Faulty(of_tables.no_name, "class table", ("classes.csv",)),
    "a workbook as table": Faulty(of_tables.no_table_at_all, "class table", ("classes.csv",)),
    "all classes ignored": Faulty(of_tables.all_ignored, "class table", ("classes.csv",)),
    "two tables": Faulty(of_tables.two_tables, "class table", ("new_classes.csv", "old_classes.csv")),
    # Pictures that disagree, or hold nothing.
    "colour among four bands": Faulty(
        of_pictures.colour_among_four, "channels", tuple(f"train/images/img_00{i}.tif" for i in (3, 4))
    ),
    "colour among five bands": Faulty(of_pictures.colour_among_five, "channels", ("images/img_003.tif",)),
    "a band lost": Faulty(of_pictures.a_band_lost, "channels", ("val/images/img_014.tif",)),
    "16 bits among 8": Faulty(of_pictures.sixteen_among_eight, "dtype", ("images/img_003.tif", "images/img_004.tif")),
    "float among 8 bits": Faulty(of_pictures.float_among_eight, "dtype", ("img_003.tif",)),
    "float among 16 bits": Faulty(
        of_pictures.float_among_sixteen, "dtype", tuple(f"val/images/img_01{i}.tif" for i in (2, 3, 4)), ("scales",)
    ),
    "a picture of not-a-number": Faulty(of_pictures.nothing_measured, "numbers", ("images/img_003.tif",)),
    "a picture of infinity": Faulty(of_pictures.all_infinite, "numbers", ("images/img_003.tif",)),
    "huge numbers": Faulty(of_pictures.huge_numbers, "numbers", ("images/img_003.tif",)),
    "0..255 among 0..1": Faulty(of_pictures.float_to_255, "scales", tuple(f"images/img_00{i}.tif" for i in (3, 4, 5))),
    "12 bits among 16": Faulty(
        of_pictures.twelve_among_sixteen, "scales", tuple(f"train/images/img_00{i}.tif" for i in (3, 4, 5))
    ),
    "validation in percent": Faulty(of_pictures.validation_in_percent, "scales", ("val/images/*",)),
    "a black picture": Faulty(of_pictures.black_picture, "constant", (_TRAIN,), ("saturated",)),
    "an even picture": Faulty(of_pictures.even_picture, "constant", ("images/img_003.png",)),
    "overexposed pictures": Faulty(of_pictures.overexposed, "saturated", (_TRAIN, "train/images/img_004.png")),
    "underexposed pictures": Faulty(of_pictures.underexposed, "saturated", ("train/img_003.png", "train/img_004.png")),
    # Masks that do not say what the pictures show.
    "all masks shifted": Faulty(of_places.all_shifted, "shifted", ("train/masks/*", "val/masks/*")),
    "all masks of four classes shifted": Faulty(of_places.all_classes_shifted, "shifted", ("masks/*",)),
    "some masks shifted": Faulty(of_places.some_shifted, "shifted", tuple(f"img_00{i}_mask.png" for i in (3, 4, 5))),
    "a mask shifted": Faulty(of_places.one_shifted, "shifted", ("train/masks/img_003.png",)),
    "a third of the masks shifted": Faulty(
        of_places.validation_shifted, "shifted", tuple(f"masks/img_01{i}.png" for i in range(2, 8))
    ),
    "two masks inverted": Faulty(
        of_places.two_inverted, "inverted", tuple(f"train/masks/img_00{i}.png" for i in (3, 4))
    ),
    "three masks inverted": Faulty(
        of_places.three_inverted, "inverted", tuple(f"img_00{i}_mask.png" for i in (3, 4, 5))
    ),
    "some masks empty": Faulty(
        of_places.some_empty, "empty masks", tuple(f"train/masks/img_00{i}.png" for i in (3, 4, 5))
    ),
    "most masks empty": Faulty(
        of_places.most_empty, "empty masks", tuple(f"masks/img_{i:03}.png" for i in range(18) if i % 3)
    ),
    "a class that never occurs": Faulty(of_places.class_that_never_occurs, "absent class", (), (), ("classes.csv",)),
    "a colour that never occurs": Faulty(of_places.colour_that_never_occurs, "absent class", (), (), ("classes.csv",)),
    "classes of one colour": Faulty(of_places.alike_colours, "alike colours", (), (), ("classes.csv",)),
    "a class in train alone": Faulty(of_places.squares_to_train_alone, "class in one part"),
    "a class in val alone": Faulty(of_places.bars_to_validate_alone, "class in one part"),
    # Parts.
    "a picture twice": Faulty(of_parts.copied, "duplicates", (_TRAIN, "train/images/img_007.png")),
    "a picture again as JPEG": Faulty(of_parts.copied_as_jpeg, "duplicates", (_TRAIN, "train/images/img_007.png")),
    "a picture with two masks": Faulty(
        of_parts.copied_with_other_mask, "duplicates", ("train/img_003.jpg", "train/img_007.jpg")
    ),
    "a copy in val": Faulty(of_parts.leak_exact, "leak", (_TRAIN, _VAL)),
    "a copy in val, encoded anew": Faulty(of_parts.leak_encoded, "leak", (_TRAIN, _VAL)),
    "a copy in val, JPEG again": Faulty(of_parts.leak_jpeg_again, "leak", ("train/img_003.jpg", "val/img_014.jpg")),
    "a brighter copy in val": Faulty(of_parts.leak_brighter, "leak", (_TRAIN, _VAL)),
    "a copy in val, 3 px aside": Faulty(of_parts.leak_shifted, "leak", (_TRAIN, _VAL), ("shared scene",)),
    "crops with half in common": Faulty(of_parts.crops_half, "shared scene", (_TRAIN, _VAL)),
    "crops with a third in common": Faulty(
        of_parts.crops_third, "shared scene", ("train/img_003.jpg", "val/img_014.jpg")
    ),
    "maps that overlap": Faulty(
        of_parts.geo_overlap, "shared scene", ("train/images/img_003.tif", "val/images/img_014.tif")
    ),
    "maps of one ground on two days": Faulty(
        of_parts.geo_another_day, "shared scene", ("train/images/img_003.tif", "val/images/img_014.tif")
    ),
    "maps that touch": Faulty(
        of_parts.geo_adjacent, "adjacent tiles", ("train/images/img_003.tif", "val/images/img_014.tif")
    ),
    "tiles by row and column": Faulty(
        of_parts.tiles_by_row_and_column, "adjacent tiles", ("val/images/*", "train/images/*")
    ),
    "tiles by pixels": Faulty(of_parts.tiles_by_pixels, "adjacent tiles", ("val/*", "train/*")),
    "tiles by two numbers": Faulty(of_parts.tiles_by_two_numbers, "adjacent tiles", ("val/images/*", "train/images/*")),
    "a patient in two parts": Faulty(of_parts.torn_patient, "torn group", ("images/img_003.png", "images/img_014.png")),
    "one picture": Faulty(of_parts.one_picture, "too few"),
    "one picture with its mask beside": Faulty(of_parts.one_picture_beside, "too few"),
    "empty train folders": Faulty(of_parts.nothing_to_train_on, "empty part"),
    "no train folder": Faulty(of_parts.no_train_folder, "empty part"),
    "masks without pictures": Faulty(of_parts.spare_masks, "spare masks", ("masks/img_003.png", "masks/img_004.png")),
    "a mask without picture in val": Faulty(of_parts.spare_masks_in_val, "spare masks", ("val/masks/img_077.png",)),
    "val without masks": Faulty(of_parts.val_without_masks, "ignored folder", (), (), ("val", "val/*")),
    "valid without labels": Faulty(of_parts.valid_without_labels, "ignored folder", (), (), ("valid", "valid/*")),
}

HEALTHY: dict[str, Callable[[Path], None]] = {
    # More numbers than any set has classes, in solid patches: read as instances, and said so.
    "numbered cells in 16 bits": of_masks.many_numbered_things,
    "split folders, 0/255": healthy.plain(Style(seed=101)),
    "flat, index masks of four classes": healthy.plain(Style("flat", mask="index", classes=4, seed=102)),
    "masks beside, 0/1, grey pictures": healthy.plain(Style("side", picture="grey", mask="ones", seed=103)),
    "labels beside, JPEG, colours, table": healthy.plain(
        Style("beside", picture="jpeg", mask="color", classes=4, table=True, seed=104)
    ),
    "palette masks of three classes": healthy.plain(Style("flat", mask="palette", classes=3, seed=105)),
    "grey values as classes": healthy.plain(Style(mask="grey", classes=4, seed=106)),
    "masks of one bit, square pictures": healthy.plain(Style(mask="bit", size=(64, 64), seed=107)),
    "16 bits": healthy.plain(Style(picture="16 bits", mask="index", classes=4, seed=108)),
    "12 bits": healthy.plain(Style("flat", picture="12 bits", seed=109)),
    "float": healthy.plain(Style(picture="float", mask="ones", seed=110)),
    "pictures with alpha": healthy.plain(Style("side", picture="rgba", seed=111)),
    "four bands": healthy.plain(Style("flat", picture="4 bands", mask="index", classes=4, seed=112)),
    "five bands, table": healthy.plain(Style(picture="5 bands", mask="index", classes=4, table=True, seed=113)),
    "large pictures": healthy.plain(Style("flat", mask="index", classes=4, size=(96, 128), count=12, seed=114)),
    "outlines beside the pictures": healthy.outlines_beside,
    "rims that are ignored": healthy.rims_ignored,
    "masks drawn generously": healthy.drawn_generously,
    "pictures of many sizes": healthy.many_sizes,
    "grey among colour": healthy.grey_among_colour,
    "dark objects": healthy.dark_objects,
    "more foreground than background": healthy.mostly_foreground,
    "few and small objects": healthy.few_and_small,
    "a rare class": healthy.a_rare_class,
    "one patch of each class": healthy.organs,
    "two films": healthy.films,
    "parts under one camera": healthy.parts_under_one_camera,
    "tiles with a row between the parts": healthy.tiles_apart,
    "maps apart": healthy.maps_apart,
    "JPEG turned by EXIF": healthy.turned_by_cameras,
    "black edges of a flight": healthy.edges_of_a_flight,
    "day and night": healthy.day_and_night,
    "gaps in measurement": healthy.gaps_in_measurement,
    "test pictures without masks": healthy.no_masks_to_test_on,
}
