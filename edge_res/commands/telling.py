"""What a command tells a person beside its data."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    """Tell the user something on stderr, where data never goes."""
    if sys.stderr is not None:  # else `print` would take stdout
        print(f"edgeres: {sentence}", file=sys.stderr)
