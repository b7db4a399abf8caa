"""Write the parts of docs/ and CONTRIBUTING.md that come from the code: `python scripts/reference.py`; `--check` only
compares.

Such a part stands in a page between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is a key of `PARTS`. What is
around it is written by people. It needs the runtime only, not PyTorch.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edge_res  # noqa: E402
from edge_res import errors  # noqa: E402
from edge_res.cli import COMMANDS, command, group  # noqa: E402
from edge_res.config import read_toml  # noqa: E402
from edge_res.devices.schema import RULES  # noqa: E402

PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    stale = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        if (current := rewritten(text)) != text:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(current, encoding="utf-8")
    print("\n".join(stale))
    if stale and "--check" in sys.argv:
        sys.exit("These pages differ from the code; run `python scripts/reference.py`.")


def rewritten(text: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", text)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: object) -> str:
    return f"`{text}`"


def plain(text: str) -> str:
    """Text as Markdown shows it unchanged, except for what stands between back quotes."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[])", r"\\\1", part) for part in parts)


def command_line() -> str:
    """All commands with their arguments and options, by the groups of `edgeres --help`."""
    shown = {name: (panel, summary) for name, (panel, _, summary) in COMMANDS.items() if panel}
    overview = table(
        ("command", "", "group"),
        [(f"[`{name}`](#{name})", plain(summary), panel) for name, (panel, summary) in shown.items()],
    )
    own = table(("before the command", "default", ""), [option_row(option) for option in group().params])
    return "\n\n".join([overview, own, *map(command_section, shown)])


def command_section(name: str) -> str:
    found = command(name)
    context = found.context_class(found, info_name=name)
    arguments = [parameter for parameter in found.params if not parameter.opts[0].startswith("-")]
    options = [option for option in found.params if option not in arguments and not getattr(option, "hidden", False)]
    usage = " ".join(["edgeres", name, "[OPTIONS]", *(argument.make_metavar(ctx=context) for argument in arguments)])
    parts = [f"## {name}", plain(found.help or ""), f"```text\n{usage}\n```"]
    if arguments:
        rows = [(code(one.make_metavar(ctx=context)), default_of(one), plain(one.help or "")) for one in arguments]
        parts.append(table(("argument", "default", ""), rows))
    return "\n\n".join([*parts, table(("option", "default", ""), [option_row(option) for option in options])])


def option_row(option: Any) -> tuple[str, str, str]:
    names = ", ".join(sorted(option.opts, key=len, reverse=True))
    return (
        code(names if option.is_flag else f"{names} {value_of(option)}"),
        default_of(option),
        plain(option.help or ""),
    )


def value_of(option: Any) -> str:
    """What stands behind an option's name."""
    if option.metavar:
        return str(option.metavar)
    if choices := getattr(option.type, "choices", None):
        return "|".join(map(str, choices))
    kinds = [getattr(one, "name", "") for one in getattr(option.type, "types", [option.type])]
    words = {"int": "N", "integer": "N", "float": "NUMBER", "path": "PATH", "file": "PATH"}
    return " ".join(words.get(kind.removesuffix(" range"), "TEXT") for kind in kinds)


def default_of(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return plain(parameter.show_default)
    value = parameter.default() if callable(parameter.default) else parameter.default
    if value in (None, False, (), [], "") or getattr(parameter, "is_flag", False):
        return ""
    return code(value)


def exit_codes() -> str:
    """The tree of errors, as a table."""
    rows = [("0", "", "success; also when a source has ended, and after Ctrl-C")]
    for name, number, meaning in re.findall(r"(\w+Error) +(\d+) *(.*)", errors.__doc__ or ""):
        assert getattr(errors, name).exit_code == int(number), name
        rows.append((number, code(name), plain(re.sub(r"\s*\((\w+Error)\)$", "", meaning))))
    return table(("exit code", "in Python", "meaning"), rows)


def python_api() -> str:
    """What `import edge_res` offers: functions, classes that do something, those that hold something, errors."""
    values = {name: getattr(edge_res, name) for name in edge_res.__all__}
    order = sorted(values, key=lambda name: place_of(name, values[name]))
    sections = []
    for name in order:
        value = values[name]
        if value.__name__ != name:
            sections.append(f"## edge_res.{name}\n\nAnother name of `edge_res.{value.__name__}`, below.")
            continue
        sections.append(f"## edge_res.{name}\n\n{signature(name, value)}{prose(value)}")
        if inspect.isclass(value) and not issubclass(value, Exception):
            sections += [f"### {name}.{own}\n\n{text}" for own, text in members_of(value)]
    return "\n\n".join(sections)


def place_of(name: str, value: object) -> tuple[bool, bool, bool]:
    return name[0].isupper(), issubclass_of(value, Exception), is_dataclass(value)


def issubclass_of(value: object, kind: type) -> bool:
    return inspect.isclass(value) and issubclass(value, kind)


def signature(name: str, value: Any) -> str:
    """How it is called, as a block; empty for an exception, and for a class of which something else makes one."""
    if issubclass_of(value, Exception) or (inspect.isclass(value) and "makes one" in (value.__doc__ or "")):
        return ""
    told = re.sub(r"""(: |-> )(['"])(.*?)\2(?=[,) ]|$)""", r"\1\3", str(inspect.signature(value)))
    told = re.sub(r"\(self(, )?", "(", told).replace(" -> None", "")
    if len(name + told) > 100:
        told = re.sub(r"\((.*)\)( -> .*)?$", lambda found: f"(\n    {found[1]},\n){found[2] or ''}", told)
        told = re.sub(r", (\*(?=,)|\*?\*?\w+(?::| =|=|,|$))", r",\n    \1", told)
    return f"<!-- signature -->\n```python\n{name}{told}\n```\n\n"


def prose(value: object) -> str:
    """A docstring as Markdown: its examples become blocks."""
    text = (inspect.getdoc(value) or "").replace("``", "`")
    return re.sub(r"^(>>> .*(?:\n.+)*)", r"```pycon\n\1\n```", text, flags=re.MULTILINE)


def members_of(kind: type) -> Iterator[tuple[str, str]]:
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            told = inspect.signature(value.fget).return_annotation  # type: ignore[arg-type]
            yield name, f"`{told}`. {prose(value)}".removesuffix(" ")
        elif inspect.isfunction(value):
            yield name, f"{signature(name, value)}{prose(value)}"


def fields_of(path: str, name: str) -> list[tuple[str, str, str]]:
    """Field, type and default of a dataclass in a source file, which is read, not imported."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    rows = []
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = "" if node.value is None else ast.unparse(node.value)
            if isinstance(node.value, ast.Name):
                default = constant(node.value.id)
            rows.append((node.target.id, ast.unparse(node.annotation), "" if "field(" in default else default))
    return rows


def constant(name: str) -> str:
    """The value of a module's constant, wherever it stands."""
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "edge_res").rglob("*.py"))]
    (value,) = {found for text in sources for found in re.findall(rf"^{name} = (\S+)", text, re.MULTILINE)}
    return str(value)


def fields_table(path: str, name: str) -> str:
    rows = fields_of(path, name)
    with_defaults = any(default for _, _, default in rows)
    shown = [(code(field), code(kind), *([code(default) if default else ""] if with_defaults else []))
             for field, kind, default in rows]  # fmt: skip
    return table(("field", "type", *(["default"] if with_defaults else [])), shown)


def recipe_fields() -> str:
    parts = (
        ("", "export/training/settings.py", "TrainSettings"),
        ("net", "export/training/settings.py", "Net"),
        ("front_end", "export/training/settings.py", "Spectrogram"),
        ("splits", "edge_res/clips/splits.py", "Splits"),
        ("vary", "export/datasets/augment.py", "Variations"),
    )
    tables = [name for name, _, _ in parts]
    rows = []
    for name, path, kind in parts:
        for field, annotation, default in fields_of(path, kind):
            if field != "recipe" and field not in tables:
                rows.append((code(f"{name}.{field}" if name else field), code(annotation), code(default or "()")))
    return table(("key", "type", "default"), rows)


def session_format() -> str:
    """The docstring of the module that reads and writes sessions, with its table in Markdown."""
    text = inspect.getdoc(importlib.import_module("edge_res.session")) or ""
    ruled = r"(?:^=[= ]*\n)(.*)\n=[= ]*\n((?:.*\n)+?)=[= ]*$"
    return re.sub("``", "`", re.sub(ruled, lambda found: of_columns(found[0]), text, flags=re.MULTILINE))


def of_columns(ruled: str) -> str:
    """A table of reStructuredText, whose columns are ruled with `=`, in Markdown."""
    rule, head, _, *rows, _ = ruled.splitlines()
    starts = [found.start() for found in re.finditer(r"=+", rule)]

    def cells(line: str) -> tuple[str, ...]:
        ends = [*starts[1:], None]
        return tuple(line[start:end].strip() for start, end in zip(starts, ends, strict=True))

    return table(cells(head), [cells(row) for row in rows])


def device_keys() -> str:
    rows = []
    for name, rules in RULES.items():
        for key, rule in rules.items():
            rows.append((code(f"{name}.{key}" if name else key), rule.allowed, "yes" if rule.required else ""))
    return table(("key", "allowed", "required"), rows)


def device_files() -> str:
    rows = []
    for path in sorted((ROOT / "devices").glob("*.toml")):
        body = read_toml(path.read_text(encoding="utf-8"))
        cores = ", ".join(f"{c['count']} × {c['core']} at {c['clock_mhz']} MHz" for c in body.get("clusters", []))
        memory = ", ".join(f"{size:g}" for size in body.get("memory_gb", []))
        title = re.sub(r"^(a|an|any) ", "", body["title"])
        rows.append((code(path.stem), title, body.get("soc", ""), cores, memory))
    return table(("device file", "board", "SoC", "cores", "memory (GB)"), rows)


def estimates() -> str:
    """The estimates of the bundled models for all boards; the machine that this runs on plays no part."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/nonexistent"}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for model in ("default", "tiny"):
        arguments = ["-m", "edge_res.cli", "profile", model, "--estimate", "all", "--json"]
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
        body = json.loads(done.stdout)
        for row in body["rows"]:
            if not row["device"].startswith("generic"):
                found.setdefault(row["device"], {})[f"{model} {row['mode']}"] = {**row, "hop_ms": body["hop_ms"]}
    heads = ("default step", "default window", "tiny step", "tiny window")
    rows = [(code(device), *(interval(of[head]) for head in heads)) for device, of in sorted(found.items())]
    return table(("ESTIMATE, % of one core", *heads), rows)


def interval(row: dict[str, Any]) -> str:
    low, high = (row[key] / row["hop_ms"] / 10 for key in ("low_us", "high_us"))
    return f"{low:.1f} to {high:.1f}"


def order() -> str:
    """The parts of the runtime in the order of their imports, as `tests/test_structure.py` enforces it."""
    text = (ROOT / "tests" / "test_structure.py").read_text(encoding="utf-8")
    names = re.findall(r'"(\w+)"', text.partition("\nRANK = {")[2].partition("\n}")[0])
    return textwrap.fill(" → ".join(map(code, names)), 140)


PARTS: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "exit-codes": exit_codes,
    "python-api": python_api,
    "manifest": lambda: fields_table("edge_res/model/bundle.py", "Manifest"),
    "decide": lambda: fields_table("edge_res/model/bundle.py", "DecideParams"),
    "front-end": lambda: fields_table("edge_res/signal/frontend.py", "FrontEndParams"),
    "recipe": recipe_fields,
    "session": session_format,
    "device-keys": device_keys,
    "device-files": device_files,
    "estimates": estimates,
    "order": order,
}

if __name__ == "__main__":
    main()
