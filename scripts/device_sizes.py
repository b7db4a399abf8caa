"""What an installation takes on an arm64 device: sizes of the wheels, and of what they unpack to.

`python scripts/device_sizes.py --glibc 2.36` asks the package index as pip on such a device would, for the figures of
docs/raspberry-pi.md and docs/jetson.md. Run it with the device's version of Python. glibc is 2.36 on Debian 12, 2.41 on
Debian 13; 2.27, 2.31, 2.35 and 2.39 on Ubuntu 18.04, 20.04, 22.04 and 24.04.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("", "[onnxruntime]", "[tflite-runtime]", "[serial,mqtt]")


def platforms(glibc: str) -> list[str]:
    """The tags of wheels that run there (PEP 600): each manylinux from 2.17 to its own glibc."""
    newest = int(glibc.split(".")[1])
    tags = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, newest + 1))]
    return [word for tag in tags for word in ("--platform", tag)]


def download(wheel: Path, extra: str, glibc: str, folder: Path) -> str:
    """Fetch the wheel's dependencies for such a device; returns why pip could not, else nothing."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    command += ["--only-binary", ":all:", *platforms(glibc), f"{wheel}{extra}"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def sizes(folder: Path) -> tuple[int, int, list[str]]:
    """Bytes of all wheels in a folder, of what they unpack to, and the version of each."""
    packed = unpacked = 0
    names = []
    for path in sorted(folder.glob("*.whl")):
        packed += path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            unpacked += sum(entry.file_size for entry in archive.infolist())
        names.append(" ".join(path.name.split("-")[:2]))
    return packed, unpacked, names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glibc", default="2.36")
    arguments = parser.parse_args()
    print(f"Python {sys.version_info[0]}.{sys.version_info[1]}, arm64, glibc {arguments.glibc}")
    with tempfile.TemporaryDirectory() as built:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--wheel-dir", built, str(ROOT)], check=True)
        (wheel,) = Path(built).glob("*.whl")
        for extra in EXTRAS:
            with tempfile.TemporaryDirectory() as folder:
                if why := download(wheel, extra, arguments.glibc, Path(folder)):
                    print(f"edge-res{extra}: {why}")
                    continue
                packed, unpacked, names = sizes(Path(folder))
                print(f"edge-res{extra}: {packed / 1e6:.0f} MB of wheels, {unpacked / 1e6:.0f} MB unpacked")
                print("   ", ", ".join(names))


if __name__ == "__main__":
    main()
