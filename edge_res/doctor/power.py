"""What makes a board slower than it is: its power supply, heat, and how its clocks are set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from edge_res.doctor.finding import Finding, Severity

# Governors by what they do to a core that idles between two hops (Linux, Documentation/admin-guide/pm/cpufreq.rst,
# "Generic Scaling Governors"); `schedutil`, a Jetson's, raises the clock at once.
_SLOW = {
    "powersave": "holds the cores at their lowest clock",
    "conservative": "raises the clock only step by step",
    "ondemand": "lowers the clock between two hops, as is usual on a Raspberry Pi",
}
_OWN_GOVERNORS = ("intel_pstate", "amd-pstate", "amd-pstate-epp")  # drivers whose powersave is no governor of Linux
PERFORMANCE = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_PI_5_MA = 5000  # what a Raspberry Pi 5 and 500 ask their supply for


def check_throttling(root: Path) -> Iterator[Finding]:
    """The board's own flags: too little voltage, a capped clock, heat."""
    from edge_res.devices.machine import read_board
    from edge_res.devices.readings import hwmons, read_flags, vcgencmd

    flags = [(flag.code, flag.now, str(flag)) for flag in read_flags(root)]
    is_pi = read_board(root).model.startswith("Raspberry Pi")
    yield from judge_flags(flags, is_pi)
    if flags:
        return
    if "throttled=0x" in vcgencmd("get_throttled", root=root) or any(hwmons(root, "soctherm_oc")):
        yield Finding("throttling", "ok", "Nothing slows the board now, nor has since its start.")
    elif is_pi:
        told = (
            "The firmware does not tell this user whether it slows the board; join the group video, and log in again."
        )
        yield Finding("throttling", "unknown", told, "sudo usermod -aG video $USER")


def judge_flags(flags: Collection[tuple[str, bool, str]], is_pi: bool) -> Iterator[Finding]:
    """Each flag as its code, whether it is set now, and its sentence, which begins with when it was."""
    for code, now, sentence in flags:
        severity: Severity = "problem" if now else "warning"
        told = sentence[0].upper() + sentence[1:]
        if code == "under-voltage":
            told += "; use the power supply made for this board, with a short and thick cable"
            yield Finding("supply", severity, f"{told}.", "vcgencmd get_throttled" if is_pi else "tegrastats")
        elif code == "over-current":
            told += "; choose a mode that suits the power supply"
            yield Finding("supply", severity, f"{told}.", "sudo nvpmodel -q; grep POWER_MODEL /etc/nvpmodel.conf")
        else:
            told += "; give it a heat sink or a fan"
            yield Finding("throttling", severity, f"{told}.", "grep . /sys/class/thermal/thermal_zone*/temp")


def check_supply(root: Path) -> Iterator[Finding]:
    """What the supply of a Raspberry Pi 5 has agreed to give.

    Its firmware tells in the device tree, below `/chosen/power`, each a big-endian integer of 32 bits: `max_current` in
    mA, and in `usb_max_current_enable` whether the USB ports may take more than 600 mA, which they may from 5 A on
    (Raspberry Pi documentation, "Device Trees, overlays, and parameters", Power supply properties).
    """
    folder = root / "proc/device-tree/chosen/power"
    supplied, full_usb = _integer(folder / "max_current"), _integer(folder / "usb_max_current_enable")
    if supplied is None:
        return
    if supplied >= _PI_5_MA:
        yield Finding("supply", "ok", f"The power supply gives {supplied} mA.")
        return
    told = f"The power supply gives {supplied} mA, and this board asks for {_PI_5_MA}"
    if full_usb == 0:
        told += "; its USB ports, a microphone's too, share 600 mA"
    told += "; use a 5 V supply of 5 A, or if it is one that cannot say so, tell the bootloader"
    yield Finding("supply", "warning", f"{told}.", "sudo rpi-eeprom-config --edit  # PSU_MAX_CURRENT=5000")


def check_governor(root: Path) -> Iterator[Finding]:
    """Which governor sets the clock of each cluster of cores."""
    from edge_res.devices.readings import read_clocks

    driver = _text(root / "sys/devices/system/cpu/cpufreq/policy0/scaling_driver")
    governors = sorted({clock.governor for clock in read_clocks(root) if clock.governor})
    yield from judge_governors(governors, driver)


def judge_governors(governors: Collection[str], driver: str) -> Iterator[Finding]:
    """Only those that cost time; none are told where Linux does not set the clock, as in a virtual machine."""
    if not governors:
        return
    for governor in governors:
        if governor in _SLOW and driver not in _OWN_GOVERNORS:
            told = f"The governor {governor} {_SLOW[governor]}: a hop takes longer; `edgeres profile` tells how much."
            yield Finding("governor", "warning", told, PERFORMANCE)
    if driver in _OWN_GOVERNORS or not set(governors) & set(_SLOW):
        yield Finding("governor", "ok", f"The governor is {' and '.join(governors)}.")


def check_power_mode(root: Path) -> Iterator[Finding]:
    """The power mode of a Jetson: whether there is a faster one.

    `/etc/nvpmodel.conf` lists the modes and what the cores may do in each, `/var/lib/nvpmodel/status` is what nvpmodel
    has set last, `pmode:0002 fmode:quiet`. (Jetson Linux Developer Guide, Platform Power and Performance.)
    """
    modes = read_modes(_text(root / "etc/nvpmodel.conf"))
    found = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if modes and found and int(found[1]) in modes:
        yield judge_mode(modes, int(found[1]))


def judge_mode(modes: dict[int, str], now: int) -> Finding:
    """`modes` are the names by their numbers. The fastest is called MAXN or MAXN_SUPER, and is not always mode 0."""
    fastest = next((number for number, name in modes.items() if name.upper().startswith("MAXN")), None)
    if fastest is None or fastest == now:
        return Finding("power-mode", "ok", f"The power mode is {modes[now]}.")
    told = f"The power mode {modes[now]} has fewer cores or a lower clock than {modes[fastest]}, and takes less power"
    return Finding("power-mode", "warning", f"{told}.", f"sudo nvpmodel -m {fastest}")


def read_modes(text: str) -> dict[int, str]:
    """`< POWER_MODEL ID=0 NAME=15W >` of each mode."""
    found = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)", text, re.MULTILINE)
    return {int(number): name for number, name in found}


def _integer(path: Path) -> int | None:
    """A cell of the device tree (Devicetree Specification 0.4, 2.2.4: big-endian, 32 bits)."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    return int.from_bytes(raw, "big") if len(raw) == 4 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
