"""The names of real boards, verbatim, by their device file; and trees with such names.

Sources of models and compatible texts: the device trees of Linux (arch/arm64/boot/dts: broadcom, nvidia), of Raspberry
Pi's kernel and of L4T, NVIDIA's Jetson.GPIO (gpio_pin_data.py), and what users of the boards have published. In the two
marked JetPack 5, the model and the compatible texts, each verbatim, come from different sources.
"""

from __future__ import annotations

from pathlib import Path

BOARDS: dict[str, list[tuple[str, str]]] = {
    "raspberry-pi-zero-2w": [("Raspberry Pi Zero 2 W Rev 1.0", "raspberrypi,model-zero-2-w\0brcm,bcm2837")],
    "raspberry-pi-3b-plus": [("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberrypi,3-model-b-plus\0brcm,bcm2837")],
    "raspberry-pi-4b": [
        ("Raspberry Pi 4 Model B Rev 1.2", "raspberrypi,4-model-b\0brcm,bcm2711"),
        ("Raspberry Pi 4 Model B Rev 1.4", "raspberrypi,4-model-b\0brcm,bcm2711"),
    ],
    "raspberry-pi-400": [("Raspberry Pi 400 Rev 1.0", "raspberrypi,400\0brcm,bcm2711")],
    "raspberry-pi-cm4": [
        ("Raspberry Pi Compute Module 4 Rev 1.0", "raspberrypi,4-compute-module\0brcm,bcm2711"),
        ("Raspberry Pi Compute Module 4 Rev 1.1", "raspberrypi,4-compute-module\0kunbus,revpi-connect-4"),
        ("Raspberry Pi Compute Module 4S Rev 1.0", "raspberrypi,4-compute-module-s\0brcm,bcm2711"),
    ],
    "raspberry-pi-5": [("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b\0brcm,bcm2712")],
    "raspberry-pi-500": [("Raspberry Pi 500 Rev 1.0", "raspberrypi,500\0brcm,bcm2712")],
    "raspberry-pi-cm5": [("Raspberry Pi Compute Module 5 Rev 1.0", "raspberrypi,5-compute-module\0brcm,bcm2712d0")],
    "raspberry-pi": [("Raspberry Pi 3 Model B Rev 1.2", "raspberrypi,3-model-b\0brcm,bcm2837")],
    "jetson-nano": [
        ("NVIDIA Jetson Nano Developer Kit", "nvidia,p3450-0000\0nvidia,tegra210"),
        (
            "NVIDIA Jetson Nano Developer Kit",
            "nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,jetson-nano\0nvidia,tegra210",
        ),
    ],
    "jetson-tx2": [
        ("NVIDIA Jetson TX2 Developer Kit", "nvidia,p2771-0000\0nvidia,tegra186"),
        ("quill", "nvidia,quill\0nvidia,tegra186"),
        ("NVIDIA Jetson TX2 NX Developer Kit", "nvidia,p3509-0000+p3636-0001\0nvidia,tegra186"),
    ],
    "jetson-xavier-nx": [
        ("NVIDIA Jetson Xavier NX Developer Kit", "nvidia,p3509-0000+p3668-0000\0nvidia,tegra194"),
        ("NVIDIA Jetson Xavier NX Developer Kit (eMMC)", "nvidia,p3509-0000+p3668-0001\0nvidia,tegra194"),
        ("Lenovo ThinkEdge SE70", "lenovo,thinkedge-se70\0nvidia,p3509-0000+p3668-0001\0nvidia,tegra194"),
    ],
    "jetson-orin-nano": [
        (
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234",
        ),
        ("NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234"),
        ("NVIDIA Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234"),  # JetPack 5
    ],
    "jetson-orin-nx": [
        (
            "NVIDIA Jetson Orin NX Engineering Reference Developer Kit",
            "nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234",
        ),
        ("NVIDIA Orin NX Developer Kit", "nvidia,p3509-0000+p3767-0000\0nvidia,tegra234"),  # JetPack 5
    ],
    "jetson-agx-orin": [
        ("NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234")
    ],
    "jetson-agx-thor": [
        ("NVIDIA Jetson AGX Thor Developer Kit", "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264"),
        ("NVIDIA Jetson AGX Thor Developer Kit", "nvidia,p3971-0080+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264"),
    ],
    "jetson": [("NVIDIA Jetson AGX Xavier Developer Kit", "nvidia,p2972-0000\0nvidia,tegra194")],
}
# Boards of other makers, some with the processor of a Pi or a Jetson; on arm64 the generic file is theirs.
OTHERS = [
    ("Google Pixel C", "google,smaug-rev2\0google,smaug-rev1\0google,smaug\0nvidia,tegra210"),
    ("Radxa ROCK Pi 4B", "radxa,rockpi4b\0radxa,rockpi4\0rockchip,rk3399"),
]


def write(root: Path, **files: str) -> Path:
    """A tree of files; a key is a path with `__` for each slash."""
    for name, content in files.items():
        write_file(root / name.replace("__", "/"), content)
    return root


def write_file(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def device_tree(root: Path, model: str, compatible: str) -> Path:
    write_file(root / "proc/device-tree/model", f"{model}\0")
    if compatible:
        write_file(root / "proc/device-tree/compatible", f"{compatible}\0")
    return root


def program(root: Path, **answers: str) -> None:
    """A `vcgencmd` that answers like the real one, which exits with 0 even for an unknown command."""
    cases = "\n".join(f"{name}*) cat <<'END'\n{answer}\nEND\n;;" for name, answer in answers.items())
    path = root / "usr/bin/vcgencmd"
    write_file(
        path, f'#!/bin/sh\ncase "$1" in\n{cases}\n*) echo "error=1 error_msg=\\"Command not registered\\"" ;;\nesac\n'
    )
    path.chmod(0o755)


def zones(root: Path, **celsius: float) -> None:
    """Thermal zones by type, in order; `_` stands for a hyphen."""
    for place, (name, value) in enumerate(celsius.items()):
        folder = root / f"sys/class/thermal/thermal_zone{place}"
        write_file(folder / "type", name.replace("_", "-") + "\n")
        write_file(folder / "temp", f"{round(1000 * value)}\n")


def hwmon(root: Path, place: int, name: str, **values: str) -> None:
    folder = root / f"sys/class/hwmon/hwmon{place}"
    write_file(folder / "name", name + "\n")
    for file, value in values.items():
        write_file(folder / file, value + "\n")


def policy(root: Path, number: int, cores: str, khz: tuple[int, int, int, int], governor: str) -> None:
    """A cpufreq policy; `khz`: now, lowest and highest allowed, and the hardware's highest."""
    folder = root / f"sys/devices/system/cpu/cpufreq/policy{number}"
    names = ("scaling_cur_freq", "scaling_min_freq", "scaling_max_freq", "cpuinfo_max_freq")
    for name, value in zip(names, khz, strict=True):
        write_file(folder / name, f"{value}\n")
    write_file(folder / "related_cpus", cores + "\n")
    write_file(folder / "scaling_governor", governor + "\n")
