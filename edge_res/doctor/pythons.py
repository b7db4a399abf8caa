"""Which Pythons will do.

This module and the package's `__init__` are for Python 3.6 as well, which JetPack 4 has: it is told so, and no more.
"""

OLDEST, NEWEST = (3, 10), (3, 13)
OLDEST_FOR_DOCTOR = (3, 8)
# A Python of its own, where the system's does not fit; uv brings it (https://docs.astral.sh/uv).
NEW_PYTHON = (
    "curl -LsSf https://astral.sh/uv/install.sh | sh && "
    "~/.local/bin/uv venv --seed --python 3.12 .venv && .venv/bin/pip install ."
)


def too_old(found: str) -> str:
    """What is said of a Python before `OLDEST`; `found` is its version and where it is."""
    return f"{found} is too old: 3.10 to 3.13 are wanted; make an environment with one of these."
