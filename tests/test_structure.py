"""The project's shape, as design and CONTRIBUTING.md say it is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

ROOT = Path(__file__).parents[1]

# A part of the runtime imports parts of a lower rank, and itself. A new module takes its place here.
RANK = {
    name: rank
    for rank, name in enumerate(
        (
            "version", "errors", "choices", "flow", "config", "address", "writing", "telling", "stats", "broker",
            "service", "signal", "engines", "model", "measured", "decide", "session",
            "sources", "clips", "sinks", "loop", "taps", "streaming", "asynchronous", "listener", "evaluation",
            "profiling", "doctor", "remote", "commands", "cli", "__main__",
        )
    )
}  # fmt: skip
# Likewise the rooms of the host side.
EXPORT_RANK = {
    "datasets": 0,
    "nets": 1,
    "training": 2,
    "int8": 3,
    "formats": 4,
    "bundling": 5,
    "comparison": 6,
}
# What the parts beside the runtime may import of it, besides themselves.
HOST = {
    "export": {part for part in RANK if RANK[part] <= RANK["evaluation"]},
    "devices": {"errors", "choices", "config"},
}
# Third-party packages that more than one module of the runtime may import, and in which parts.
SPREAD = {"numpy": set(RANK), "typer": {"cli", "commands"}, "rich": {"cli", "commands", "profiling", "sinks"}}
HEAVY = {"onnxruntime", "ai_edge_litert", "tflite_runtime", "sounddevice", "soundfile", "soxr", "torch", "onnx"}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package by its dotted name; the links in edge_res are not followed."""
    for folder, package in (("edge_res", "edge_res"), ("export", "edge_res.export"), ("devices", "edge_res.devices")):
        for base, folders, files in os.walk(ROOT / folder):
            folders[:] = [name for name in folders if not (Path(base) / name).is_symlink()]
            for name in sorted(files):
                if name.endswith(".py"):
                    inside = (Path(base) / name).relative_to(ROOT / folder).with_suffix("").parts
                    yield ".".join((package, *inside)).removesuffix(".__init__"), Path(base) / name


MODULES = dict(modules())


def part_of(module: str) -> str:
    """`edge_res.sources.file` belongs to `sources`; `edge_res` itself to no part, the empty text."""
    return module.split(".")[1] if "." in module else ""


def imports(module: str) -> set[str]:
    """Dotted names of all that a module imports, wherever in it, those named in `import_module("...")` included."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            base = str(node.module)
            members = {f"{base}.{alias.name}" for alias in node.names}
            found |= (members & set(MODULES)) or {base}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__"):
                found.add(str(node.args[0].value))
    return found


def third_party(module: str) -> set[str]:
    tops = {name.split(".")[0] for name in imports(module)}
    return tops - set(sys.stdlib_module_names) - {"edge_res", "tomllib"}  # tomllib: from Python 3.11 on


def test_packages_are_the_folders_on_disk() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    on_disk = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")
    assert on_disk == sorted(pyproject["tool"]["setuptools"]["packages"])
    assert not {path.parent for path in MODULES.values()} - {
        path.parent for path in MODULES.values() if path.name == "__init__.py"
    }, "a folder of modules has no __init__.py"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_one_way(module: str) -> None:
    part = part_of(module)
    assert part in {"", *RANK, *HOST}, f"{module} has no place in RANK"
    allowed = HOST.get(part) or {other for other in RANK if RANK[other] < RANK.get(part, 0)}
    if part == "":  # the public face: it loads a name's module when the name is first used
        allowed = {"version", "errors", "flow", "streaming", "listener"}
    if part in ("commands", "cli"):
        allowed = allowed | set(HOST)
    if part in ("measured", "sources", "taps", "streaming", "listener", "profiling", "doctor"):
        allowed = allowed | {"devices"}
    found = {part_of(name) for name in imports(module) if name.split(".")[0] == "edge_res"}
    assert found <= allowed | {part, ""}, f"{module} imports {sorted(found - allowed)}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("edge_res.export.")))
def test_imports_of_the_host_go_one_way(module: str) -> None:
    def room_of(name: str) -> str:
        return name.split(".")[2]

    room = room_of(module)
    assert room in EXPORT_RANK, f"{module} has no place in EXPORT_RANK"
    allowed = {other for other in EXPORT_RANK if EXPORT_RANK[other] < EXPORT_RANK[room]}
    found = {room_of(name) for name in imports(module) if name.startswith("edge_res.export.")}
    assert found <= allowed | {room}, f"{module} imports {sorted(found - allowed)}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part_of(name) == "devices"))
def test_devices_need_the_standard_library_only(module: str) -> None:
    assert third_party(module) <= {"tomli"}


def test_a_third_party_package_is_imported_in_one_module_of_the_runtime() -> None:
    users = defaultdict(list)
    for module in MODULES:
        if part_of(module) not in HOST:
            for package in third_party(module):
                users[package].append(module)
    for package, used_in in users.items():
        if package in SPREAD:
            assert {part_of(module) for module in used_in} <= SPREAD[package], package
        else:
            assert len(used_in) == 1, f"{package} is imported in {used_in}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import edge_res"],
        pytest.param(
            ["-m", "edge_res.cli", "--help"],
            marks=pytest.mark.skipif("edge_res.cli" not in MODULES, reason="there is no command line yet"),
        ),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "edge_res" in loaded
    assert not {name.split(".")[0] for name in loaded} & HEAVY


def test_modules_have_a_size_that_can_be_read() -> None:
    paths = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(paths)
    }
    assert not {path: length for path, length in lengths.items() if length > 450}


def test_what_is_committed_is_small() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout: clone the repository to check the sizes of its files")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    sizes = {name: (ROOT / name).lstat().st_size for name in listed.stdout.split("\0") if os.path.lexists(ROOT / name)}
    assert sizes
    assert not {name: size for name, size in sizes.items() if size > 2_000_000}
    assert sum(sizes.values()) < 20_000_000
