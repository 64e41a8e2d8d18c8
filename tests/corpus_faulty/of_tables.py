"""Sets whose class table is at fault."""

from __future__ import annotations

from pathlib import Path

from corpus_faulty.sets import Make, Style, lay

INDEX = Style("flat", mask="index", classes=4, seed=31)
COLOR = Style(mask="color", classes=4, seed=32)
PALETTE = Style("beside", mask="palette", classes=4, seed=33)
BINARY = Style("side", mask="ones", seed=34)


def with_table(style: Style, content: bytes, name: str = "classes.csv") -> Make:
    """A healthy set with these bytes as its class table."""

    def make(root: Path) -> None:
        lay(root, style)
        (root / name).write_bytes(content)

    return make


def two_tables(root: Path) -> None:
    """Two tables, and nothing that says which of them holds."""
    lay(root, INDEX)
    for name, bar in (("old_classes.csv", "beam"), ("new_classes.csv", "bar")):
        rows = f"name,r,g,b\nbackground,0,0,0\ndisc,200,40,40\n{bar},40,180,60\nsquare,50,80,210\n"
        (root / name).write_text(rows, encoding="utf-8")


no_rows = with_table(INDEX, b"name,r,g,b\n")
twice_one_name = with_table(INDEX, b"name,r,g,b\nbackground,0,0,0\ndisc,200,40,40\ndisc,40,180,60\nsquare,50,80,210\n")
twice_one_value = with_table(
    INDEX, b"name,value,r,g,b\nbackground,0,0,0,0\ndisc,1,200,40,40\nbar,1,40,180,60\nsquare,3,50,80,210\n"
)
twice_one_colour = with_table(COLOR, b"name,r,g,b\nbackground,0,0,0\ndisc,200,40,40\nbar,40,180,60\nsquare,40,180,60\n")
one_class = with_table(BINARY, b"name,r,g,b\nthing,255,255,255\n")
beyond_255 = with_table(COLOR, b"name,r,g,b\nbackground,0,0,0\ndisc,300,40,40\nbar,40,180,60\nsquare,50,80,210\n")
words_for_numbers = with_table(
    INDEX, b"name,r,g,b\nbackground,0,0,0\ndisc,red,40,40\nbar,40,180,60\nsquare,50,80,210\n"
)
no_name = with_table(PALETTE, b"name,r,g,b\nbackground,0,0,0\n,200,40,40\nbar,40,180,60\nsquare,50,80,210\n")
no_table_at_all = with_table(PALETTE, b"PK\x03\x04\x14\x00\x08\x08\x08\x00\xff\xfe\x9c\x00workbook.xml\x00\x80\x81")
all_ignored = with_table(BINARY, b"name,r,g,b,role\nvoid,0,0,0,ignore\nunknown,255,255,255,ignore\n")
