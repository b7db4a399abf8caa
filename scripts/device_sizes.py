"""What an installation takes on an arm64 device: what pip fetches, and what that takes on the disk.

`python scripts/device_sizes.py --glibc 2.36` asks the package index as pip on such a device would, for the figures of
docs/how-to/raspberry-pi.md and docs/how-to/jetson.md. Run it with the device's version of Python. glibc is 2.36 on
Debian 12, 2.41 on Debian 13; 2.27, 2.31, 2.35 and 2.39 on Ubuntu 18.04, 20.04, 22.04 and 24.04.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("", "[onnxruntime]", "[tflite-runtime]", "[serial,mqtt]")
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def tags(glibc: str) -> list[str]:
    """Wheels that run there (PEP 600): of each manylinux from 2.17 to its own glibc."""
    newest = int(glibc.split(".")[1])
    names = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, newest + 1))]
    return ["--only-binary", ":all:", *(word for name in names for word in ("--platform", name))]


def megabytes(folder: Path) -> int:
    """What the files of a folder take on the disk."""
    return round(sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) / 1e6)


def measure(requirement: str, glibc: str, folder: Path) -> str:
    """One line: sizes and versions, or why pip could not."""
    wheels, target = folder / "wheels", folder / "installed"
    fetched = subprocess.run(
        [*PIP, "download", "--dest", str(wheels), *tags(glibc), requirement], capture_output=True, text=True
    )
    if fetched.returncode:
        return fetched.stderr.strip().splitlines()[-1]
    files = sorted(str(path) for path in wheels.glob("*.whl"))
    install = [*PIP, "install", "--no-deps", "--root-user-action=ignore", "--target", str(target), *tags(glibc), *files]
    subprocess.run(install, check=True)  # bytecode included, as on the device
    names = ", ".join(" ".join(Path(file).name.split("-")[:2]) for file in files)
    return f"{megabytes(wheels)} MB of wheels, {megabytes(target)} MB on the disk ({names})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glibc", default="2.36")
    glibc = parser.parse_args().glibc
    print(f"Python {sys.version_info[0]}.{sys.version_info[1]}, arm64, glibc {glibc}")
    with tempfile.TemporaryDirectory() as built:
        subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", built, str(ROOT)], check=True)
        (wheel,) = Path(built).glob("*.whl")
        for extra in EXTRAS:
            with tempfile.TemporaryDirectory() as folder:
                print(f"edge-res{extra}: {measure(f'{wheel}{extra}', glibc, Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
