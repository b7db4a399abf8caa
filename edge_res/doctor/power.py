"""What slows a board: its power supply, heat, and its clock settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from edge_res.doctor.finding import Finding, Severity

# What a governor does to a core that idles between two hops (Linux, Documentation/admin-guide/pm/cpufreq.rst,
# "Generic Scaling Governors"); `schedutil`, as on a Jetson, raises the clock at once.
_SLOW = {
    "powersave": "holds the cores at their lowest clock",
    "conservative": "raises the clock only step by step",
    "ondemand": "lowers the clock between two hops (the default on a Raspberry Pi)",
}
# Drivers with a powersave of their own, which does not hold the lowest clock.
_OWN_GOVERNORS = ("intel_pstate", "amd-pstate", "amd-pstate-epp")
PERFORMANCE = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_PI_5_MA = 5000  # what a Raspberry Pi 5 and 500 request from their supply


def check_throttling(root: Path) -> Iterator[Finding]:
    """The board's own flags: low voltage, a capped clock, heat."""
    from edge_res.devices.machine import read_board
    from edge_res.devices.readings import hwmons, read_flags, vcgencmd

    flags = [(flag.code, flag.now, str(flag)) for flag in read_flags(root)]
    is_pi = read_board(root).model.startswith("Raspberry Pi")
    yield from judge_flags(flags, is_pi)
    if flags:
        return
    if "throttled=0x" in vcgencmd("get_throttled", root=root) or any(hwmons(root, "soctherm_oc")):
        yield Finding("throttling", "ok", "Nothing slows the board now or has since it started.")
    elif is_pi:
        sentence = "This user may not ask the firmware what slows the board; join the group video and log in again."
        yield Finding("throttling", "unknown", sentence, "sudo usermod -aG video $USER")


def judge_flags(flags: Collection[tuple[str, bool, str]], is_pi: bool) -> Iterator[Finding]:
    """Each flag is a code, whether it is set now, and a sentence that begins with "now" or "since the start"."""
    for code, now, sentence in flags:
        severity: Severity = "problem" if now else "warning"
        reported = sentence[0].upper() + sentence[1:]
        if code == "under-voltage":
            reported += "; use the power supply made for this board, with a short and thick cable"
            yield Finding("supply", severity, f"{reported}.", "vcgencmd get_throttled" if is_pi else "tegrastats")
        elif code == "over-current":
            reported += "; choose a power mode that suits the supply"
            yield Finding("supply", severity, f"{reported}.", "sudo nvpmodel -q; grep POWER_MODEL /etc/nvpmodel.conf")
        else:
            reported += "; add a heat sink or a fan"
            yield Finding("throttling", severity, f"{reported}.", "grep . /sys/class/thermal/thermal_zone*/temp")


def check_supply(root: Path) -> Iterator[Finding]:
    """The current that a Raspberry Pi 5 has negotiated with its supply.

    The firmware puts it into the device tree under `/chosen/power`, as 32-bit big-endian integers: `max_current` in mA,
    and `usb_max_current_enable`, whether the USB ports may draw more than 600 mA, as they may with 5 A (Raspberry Pi
    documentation, "Device Trees, overlays, and parameters", Power supply properties).
    """
    folder = root / "proc/device-tree/chosen/power"
    supplied, full_usb = _integer(folder / "max_current"), _integer(folder / "usb_max_current_enable")
    if supplied is None:
        return
    if supplied >= _PI_5_MA:
        yield Finding("supply", "ok", f"The power supply delivers {supplied} mA.")
        return
    sentence = f"The power supply delivers {supplied} mA, but this board requires {_PI_5_MA}"
    if full_usb == 0:
        sentence += "; its USB ports, including a microphone's, share 600 mA"
    sentence += "; use a 5 V, 5 A supply, or if this one is but cannot negotiate it, tell the bootloader"
    yield Finding("supply", "warning", f"{sentence}.", "sudo rpi-eeprom-config --edit  # PSU_MAX_CURRENT=5000")


def check_governor(root: Path) -> Iterator[Finding]:
    """Which governor sets the clock of each cluster of cores."""
    from edge_res.devices.readings import read_clocks

    driver = _text(root / "sys/devices/system/cpu/cpufreq/policy0/scaling_driver")
    governors = sorted({clock.governor for clock in read_clocks(root) if clock.governor})
    yield from judge_governors(governors, driver)


def judge_governors(governors: Collection[str], driver: str) -> Iterator[Finding]:
    """A warning for each governor that costs time; nothing if Linux does not set the clock, as in a virtual machine."""
    if not governors:
        return
    for governor in governors:
        if governor in _SLOW and driver not in _OWN_GOVERNORS:
            sentence = f"The governor {governor} {_SLOW[governor]}: hops take longer, see `edgeres profile`."
            yield Finding("governor", "warning", sentence, PERFORMANCE)
    if driver in _OWN_GOVERNORS or not set(governors) & set(_SLOW):
        yield Finding("governor", "ok", f"The governor is {' and '.join(governors)}.")


def check_power_mode(root: Path) -> Iterator[Finding]:
    """Whether a Jetson has a faster power mode.

    `/etc/nvpmodel.conf` lists the modes and what the cores may do in each, `/var/lib/nvpmodel/status` holds the one set
    last, as `pmode:0002 fmode:quiet` (Jetson Linux Developer Guide, Platform Power and Performance).
    """
    modes = read_modes(_text(root / "etc/nvpmodel.conf"))
    found = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if modes and found and int(found[1]) in modes:
        yield judge_mode(modes, int(found[1]))


def judge_mode(modes: dict[int, str], now: int) -> Finding:
    """`modes` are names by number. The fastest is called MAXN or MAXN_SUPER and is not always mode 0."""
    fastest = next((number for number, name in modes.items() if name.upper().startswith("MAXN")), None)
    if fastest is None or fastest == now:
        return Finding("power-mode", "ok", f"The power mode is {modes[now]}.")
    sentence = f"The power mode {modes[now]} uses fewer cores or a lower clock than {modes[fastest]}, and less power"
    return Finding("power-mode", "warning", f"{sentence}.", f"sudo nvpmodel -m {fastest}")


def read_modes(text: str) -> dict[int, str]:
    """Mode names by number, from lines such as `< POWER_MODEL ID=0 NAME=15W >`."""
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
