"""A serial port, with pyserial, opened exclusively."""

from __future__ import annotations

import errno
import logging
import os
import stat
import termios
from pathlib import Path
from typing import Any

from edge_res.devices.access import by_whom, device_holders, way_in
from edge_res.errors import ConfigError, SourceError

_WAIT_S = 0.1  # how long a read waits for the first byte
_KINDS = ("serial/by-id/*", "ttyUSB*", "ttyACM*")


class SerialPort:
    """An open port. Whatever ends it is an `OSError`, even if pyserial or termios raise something else."""

    def __init__(self, path: str, baud: int) -> None:
        """Open it; raises `ConfigError` and `SourceError`."""
        serial = _import_pyserial()
        try:
            self._port = serial.Serial(path, baud, timeout=_WAIT_S, exclusive=True)
        except (ValueError, OverflowError):
            raise ConfigError(f"{path} does not support baud={baud}; try 9600, 115200, 921600 or 1000000.") from None
        except OSError as error:  # SerialException is one
            raise SourceError(_refusal(path, error)) from None
        except termios.error as error:  # which is not one
            raise SourceError(_refusal(path, OSError(*error.args))) from None
        self._path = path
        self._device = os.fstat(self._port.fileno()).st_rdev
        if others := device_holders(path):
            logging.getLogger("edge_res").warning(
                "%s is also read by %s, and each takes bytes from the other; stop one of them.",
                path,
                " and ".join(others),
            )

    def read(self) -> bytes:
        """What has arrived, after waiting for it for a moment; may be empty.

        Raises `OSError` when the device is gone, or when its path leads to another one.
        """
        data: bytes = self._port.read(1)
        if data:
            return data + bytes(self._port.read(self._port.in_waiting))
        if Path(self._path).stat().st_rdev != self._device:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return data

    def drop_input(self) -> None:
        """Forget what has arrived and was not read."""
        self._port.read(self._port.in_waiting)

    def close(self) -> None:
        self._port.close()


def _import_pyserial() -> Any:
    try:
        import serial
    except ModuleNotFoundError:
        raise SourceError(
            "A serial source requires the package pyserial, which is not installed; install it with "
            "`pip install 'edge-res[serial]'`."
        ) from None
    return serial


def _refusal(path: str, error: OSError) -> str:
    """Why a port does not open. For a failed lock, pyserial sets no errno; the device itself shows the rest."""
    if not Path(path).exists():
        present = sorted(str(found) for kind in _KINDS for found in Path("/dev").glob(kind))
        return f"There is no device {path}; " + (
            f"there are {', '.join(present)}." if present else "plug it in, and see `dmesg` for its name."
        )
    if error.errno == errno.EACCES:
        return f"{path} cannot be read: permission denied; {way_in(path)}."
    if "lock" in str(error) or error.errno in (errno.EBUSY, errno.EAGAIN):
        return f"{path} is in use{by_whom(device_holders(path))}; stop that first."
    if not stat.S_ISCHR(Path(path).stat().st_mode) or error.errno == errno.ENOTTY or "configure port" in str(error):
        return f"{path} is not a serial port; give one as in serial:/dev/ttyUSB0?rate=1000."
    return f"{path} cannot be opened: {os.strerror(error.errno) if error.errno else error}."
