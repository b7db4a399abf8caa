"""What is known of each device: one TOML file a device, and what tells whether this machine is one."""

from edge_res.devices.detect import describe_mismatch
from edge_res.devices.profiles import ENGINES, DeviceProfile, known_profiles, load_profile

__all__ = ["ENGINES", "DeviceProfile", "describe_mismatch", "known_profiles", "load_profile"]
