"""Addresses of sensors."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edge_res.address import masked, read_address
from edge_res.errors import ConfigError


@dataclass(frozen=True)
class Options:
    rate: float
    channels: int = 1
    unit: str = ""
    tls: bool = False
    window: int | None = None


def read(text: str) -> tuple[str, Options]:
    return read_address(text, Options, "lamp:x?rate=5")


def test_target_and_options() -> None:
    assert read("lamp:/dev/x?rate=1e3&channels=3&unit=m%2Fs%C2%B2&tls=yes&window=8") == (
        "/dev/x",
        Options(1000.0, 3, "m/s²", True, 8),
    )
    assert read("lamp://host:5005/a/b?rate=5") == ("//host:5005/a/b", Options(5.0))


def test_a_password_is_masked() -> None:
    assert masked("mqtt://ear:a@b?c/d@host/x?rate=5") == "mqtt://…@host/x?rate=5"
    for text in ("me@home.wav", "mqtt://host/x", "/dev/x"):
        assert masked(text) == text


REFUSED = {
    "lamp:x?rate=5&colour=red": "has the unknown option 'colour'; its options are rate, channels, unit, tls, window,",
    "lamp:x": "lacks rate; give it as in lamp:x?rate=5",
    "lamp:x?rate=fast": "says rate=fast; expected a number",
    "lamp:x?rate=5&channels=1.5": "says channels=1.5; expected an integer",
    "lamp:x?rate=5&window=": "says window=; expected an integer",
    "lamp:x?rate=5&tls=1": "says tls=1; expected yes or no",
    "lamp:x?rate=5&rate=6": "gives rate twice",
}


@pytest.mark.parametrize("text", REFUSED)
def test_invalid_addresses_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{text} {REFUSED[text]}")
