"""Which versions of Python are supported.

This module and the package's `__init__` also run on Python 3.6, which JetPack 4 has, to report that it is too old.
"""

OLDEST, NEWEST = (3, 10), (3, 14)
OLDEST_FOR_DOCTOR = (3, 8)
# Installs a separate Python with uv (https://docs.astral.sh/uv) if the system's does not suit.
NEW_PYTHON = (
    "curl -LsSf https://astral.sh/uv/install.sh | sh && "
    "~/.local/bin/uv venv --seed --python 3.12 .venv && .venv/bin/pip install ."
)


def too_old(found: str) -> str:
    """The sentence about a Python before `OLDEST`; `found` is its version and path."""
    supported = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
    return f"{found} is too old; edge-res requires {supported}: make an environment with one of these."
