import builtins
import re
from typing import Any

import edge_res.errors
from edge_res.errors import EdgeResError

CLASSES: dict[str, Any] = {name: value for name, value in vars(edge_res.errors).items() if isinstance(value, type)}


def drawn_tree() -> dict[str, tuple[str, int, str | None]]:
    """The tree in the module's docstring: class to parent, exit code and builtin."""
    tree = {}
    above: list[str] = []  # the classes from the root to the line before
    line = re.compile(r"^ {4}([│├└─ ]*)(\w+) +(\d+)(?:.*\((\w+)\))?")
    for text in str(edge_res.errors.__doc__).splitlines():
        if found := line.match(text):
            branch, name, code, builtin = found.groups()
            depth = len(branch) // 4
            above[depth:] = [name]
            tree[name] = (above[depth - 1] if depth else "Exception", int(code), builtin)
    return tree


def test_the_drawn_tree_matches_the_classes() -> None:
    actual = {}
    for name, cls in CLASSES.items():
        builtin = [base.__name__ for base in cls.__bases__ if base.__module__ == "builtins" and base is not Exception]
        actual[name] = (cls.__bases__[0].__name__, cls.exit_code, builtin[0] if builtin else None)
    assert drawn_tree() == actual


def test_exit_codes_are_distinct_and_mean_failure() -> None:
    codes = [cls.exit_code for cls in CLASSES.values()]
    assert len(set(codes)) == len(codes)
    assert all(0 < code < 126 for code in codes), "the shell gives codes from 126 up meanings of its own"


def test_each_error_is_ours_and_a_builtin() -> None:
    for cls in CLASSES.values():
        assert issubclass(cls, EdgeResError)
        own = [base for base in cls.__mro__ if hasattr(builtins, base.__name__)]
        assert cls is EdgeResError or own[0] not in (Exception, BaseException, object)


def test_a_message_is_kept_unchanged() -> None:
    """OSError and ImportError interpret several arguments; a single one must stay the message."""
    for cls in CLASSES.values():
        assert str(cls("No such thing.")) == "No such thing."
