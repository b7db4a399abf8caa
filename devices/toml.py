"""TOML, by the reader of the standard library, or before Python 3.11 by the package that it was."""

from __future__ import annotations

import sys
from typing import Any


def read_toml(text: str) -> dict[str, Any]:
    """What the text holds; a `ValueError` tells where it is not TOML.

    The reader is imported here: `edge_res.doctor` uses the devices where no package is installed.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    body: dict[str, Any] = tomllib.loads(text)
    return body
