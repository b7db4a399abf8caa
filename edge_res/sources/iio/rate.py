"""The sample rate of an IIO device, and how it is set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_res.errors import ConfigError
from edge_res.sources.iio.tree import Channel, Device, attributes, read_text, write

_SAME = 0.01  # how far a rate may be from the whole number that stands for it
_MOST_POLLED_HZ = 1000


def settle_rate(device: Device, channel: Channel, asked_hz: int | None, model_hz: int) -> int:
    """The rate in Hz that the device is set to: the requested one, or the model's if offered, or the current one.

    Raises `ConfigError` if it does not run at the requested rate, or reports none and none was requested.
    """
    file = next((path for path in _rate_files(device, channel) if path.exists()), None)
    if file is None:
        if asked_hz is None:
            raise ConfigError(f"{device} does not report its sample rate; give it in Hz with rate=.")
        return asked_hz
    offers = (read_text(file.with_name(f"{file.name}_available")) or "").split()
    offered = [offer for offer in offers if _is(offer, asked_hz or model_hz)]
    if offered or asked_hz is not None:
        write(file, offered[0] if offered else str(asked_hz), _offers(offers))
    found = read_text(file) or ""
    if asked_hz is not None and not _is(found, asked_hz):
        raise ConfigError(f"{device} runs at {found or 'no'} Hz instead of rate={asked_hz}; {_offers(offers)}.")
    rate_hz = round(_number(found))
    if rate_hz < 1 or not _is(found, rate_hz):
        raise ConfigError(
            f"{device} runs at {found or 'no'} Hz, but a rate must be a whole number; choose another with rate=: "
            f"{_offers(offers)}."
        )
    return rate_hz


def read_poll_rate(name: str, asked_hz: int | None) -> int:
    """The rate in Hz at which a device without a buffer is polled; raises `ConfigError`."""
    if asked_hz is None:
        raise ConfigError(f"{name} has no buffer and is polled; give the polls per second with rate=.")
    if not 1 <= asked_hz <= _MOST_POLLED_HZ:
        raise ConfigError(f"{name} is polled, at rate={asked_hz}; expected 1 to {_MOST_POLLED_HZ} polls per second.")
    return asked_hz


def _rate_files(device: Device, channel: Channel) -> Iterator[Path]:
    yield device.folder / "sampling_frequency"
    yield from attributes(device, channel.name, "sampling_frequency")
    yield device.folder / "buffer/sampling_frequency"
    current = read_text(device.folder / "trigger/current_trigger")
    for file in device.folder.parent.glob("trigger*/name"):
        if current and read_text(file) == current:
            yield file.with_name("sampling_frequency")


def _is(text: str, rate_hz: int) -> bool:
    return abs(_number(text) - rate_hz) <= _SAME * rate_hz


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _offers(offers: list[str]) -> str:
    return f"it offers {' '.join(offers)}" if offers else "it does not list its rates"
