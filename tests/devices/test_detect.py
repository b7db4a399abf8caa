"""On trees with the texts of real boards: those of Linux' device trees and of the firmware."""

from pathlib import Path

import pytest

from edge_res.devices import describe_mismatch, load_profile

PIS = [
    ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b\0brcm,bcm2712"),
    ("Raspberry Pi 4 Model B Rev 1.2", "raspberrypi,4-model-b\0brcm,bcm2711"),
    ("Raspberry Pi Zero 2 W Rev 1.0", "raspberrypi,model-zero-2-w\0brcm,bcm2837"),
]
JETSONS = [
    ("NVIDIA Jetson Nano Developer Kit", "nvidia,p3450-0000\0nvidia,tegra210"),
    ("NVIDIA Jetson Xavier NX Developer Kit", "nvidia,p3509-0000+p3668-0000\0nvidia,tegra194"),
    ("NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234"),
    ("NVIDIA Jetson AGX Thor Developer Kit", ""),
    ("quill", "nvidia,quill\0nvidia,tegra186"),
]
OTHERS = [
    ("Google Pixel C", "google,smaug-rev2\0google,smaug-rev1\0google,smaug\0nvidia,tegra210"),
    ("Radxa ROCK Pi 4B", "radxa,rockpi4b\0radxa,rockpi4\0rockchip,rk3399"),
]


def tree(root: Path, model: str, compatible: str) -> Path:
    folder = root / "proc" / "device-tree"
    folder.mkdir(parents=True)
    (folder / "model").write_bytes(model.encode() + b"\0")
    if compatible:
        (folder / "compatible").write_bytes(compatible.encode() + b"\0")
    return root


@pytest.mark.parametrize(
    ("name", "board"),
    [("raspberry-pi", board) for board in PIS]
    + [("jetson", board) for board in JETSONS]
    + [("generic", board) for board in PIS + JETSONS + OTHERS],
)
def test_a_board_is_recognised(tmp_path: Path, name: str, board: tuple[str, str]) -> None:
    assert describe_mismatch(load_profile(name), tree(tmp_path, *board)) is None


@pytest.mark.parametrize(
    ("name", "board"),
    [("raspberry-pi", board) for board in JETSONS + OTHERS] + [("jetson", board) for board in PIS + OTHERS],
)
def test_another_board_is_told_in_one_sentence(tmp_path: Path, name: str, board: tuple[str, str]) -> None:
    said = describe_mismatch(load_profile(name), tree(tmp_path, *board))
    assert said is not None
    assert f"its device tree says {board[0]!r}" in said
    assert f"settings of {name} " in said
    assert said.endswith(".")
    assert ". " not in said
    assert "\0" not in said


def test_a_machine_without_a_device_tree(tmp_path: Path) -> None:
    assert describe_mismatch(load_profile("generic"), tmp_path) is None
    said = describe_mismatch(load_profile("jetson"), tmp_path)
    assert said is not None
    assert "it has no device tree" in said


def test_the_compatible_alone_is_enough(tmp_path: Path) -> None:
    """A carrier board's maker may put its own name into the model."""
    own = tree(tmp_path, "Our Gateway", "maker,gateway\0raspberrypi,4-compute-module\0brcm,bcm2711")
    assert describe_mismatch(load_profile("raspberry-pi"), own) is None
