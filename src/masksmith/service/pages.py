"""The files of the page, as they lie in the package.

Rule: a name is looked up in the page's own table; what is not in it does not exist.
"""

from __future__ import annotations

from importlib import resources

from masksmith.service import page
from masksmith.service.faults import Unknown


def read(name: str) -> tuple[bytes, str]:
    """A file of the page and its content type.

    Raises:
        Unknown: the page has no such file.
    """
    if name not in page.FILES:
        raise Unknown(
            where="page", expected="a file of the page", received=f'"{name}"', remedy="open / for the page itself"
        )
    return resources.files(page).joinpath(name).read_bytes(), page.FILES[name]
