"""Facts about each device, one TOML file per device; recognising this machine; reading its temperature, clocks,
throttling and power."""

from edge_res.devices.detect import describe_mismatch, detect, find_device
from edge_res.devices.files import DeviceFile, known_devices, load_device
from edge_res.devices.machine import stay_on

__all__ = [
    "DeviceFile",
    "describe_mismatch",
    "detect",
    "find_device",
    "known_devices",
    "load_device",
    "stay_on",
]
