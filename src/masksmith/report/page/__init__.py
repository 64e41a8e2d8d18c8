"""Pages for people: one self-contained HTML file, drawn from a template.

Rule: everything that comes from data is escaped; a page loads nothing and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, values: Mapping[str, object]) -> str:
    """A page as text.

    Args:
        template: a file of this folder.
        values: what the template asks for, text not escaped yet.
    """
    return plain(_environment().get_template(template).render(values))


def plain(text: str) -> str:
    """Text that UTF-8 can hold: bytes of file names that are no text are written as codes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def percent(share: float) -> str:
    """A share with as many digits as tell rare classes from absent ones; it is not broken over two lines."""
    if share <= 0:
        return "0\u00a0%"
    if share < 0.0001:
        return "<\u00a00.01\u00a0%"
    return f"{100 * share:.{2 if share < 0.01 else 1 if share < 0.9995 else 0}f}\u00a0%"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # A value that is missing stops the tests instead of leaving a hole in the page.
    pages = Environment(
        loader=PackageLoader("masksmith.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"percent": percent, "count": lambda number: f"{number:,}"}
    return pages
