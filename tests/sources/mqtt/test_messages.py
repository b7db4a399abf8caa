"""Repeated messages, restarted senders and invalid messages."""

from __future__ import annotations

import pytest

from edge_res.sources.mqtt.messages import FORMATS, Messages
from tests.broker import numbered


def heard(messages: Messages, firsts: range, now_s: float) -> list[tuple[int, int]]:
    """The losses, and the first sample after each."""
    pieces = [piece for first in firsts for piece in messages.push(numbered(first, 10), now_s)]
    return [(lost, int(samples[0, 0])) for lost, samples in pieces]


def messages(rate_hz: int = 1000) -> Messages:
    return Messages("mqtt:", "json", 3, rate_hz, 1.0)


def test_messages_repeated_by_a_broker_are_dropped() -> None:
    stream = messages()
    assert len(heard(stream, range(0, 10000, 10), 0.0)) == 1000
    stream.interrupted()
    assert heard(stream, range(5000, 10000, 10), 2.0) == []
    assert heard(stream, range(12000, 12020, 10), 2.0) == [(2000, 12000), (0, 12010)]


def test_messages_repeated_by_a_sender_are_dropped() -> None:
    stream = messages()
    assert len(heard(stream, range(0, 10000, 10), 0.0)) == 1000
    assert heard(stream, range(9800, 10010, 10), 0.1) == [(0, 10000)]


def test_a_restarted_sender_is_heard_even_if_it_sends_the_same() -> None:
    stream = messages()
    assert len(heard(stream, range(0, 10000, 10), 0.0)) == 1000
    again = heard(stream, range(0, 200, 10), 1.0)
    assert again == [(990, 0)] + [(0, first) for first in range(10, 200, 10)]


def test_only_a_limited_number_is_remembered() -> None:
    stream = messages()
    heard(stream, range(0, 100_000, 10), 0.0)
    assert len(stream._repeated._places) == 4096


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\0", b"null", b'"x"', b"1e999", b"[1e999, 1, 2, 3]", b"[[1, 2], [3]]", b"[" * 100_000, b"\xff\xfe",
        b'{"samples": []}', b'{"samples": {"a": 1}}', b'{"seq": -1, "samples": [[1, 2, 3]]}', b"[" + b"9" * 5000 + b"]",
    ],
)  # fmt: skip
def test_invalid_messages_are_reported_and_lost(kind: str, payload: bytes, caplog: pytest.LogCaptureFixture) -> None:
    messages = Messages("mqtt:", kind, 3, 1000, 1.0)
    assert list(messages.push(payload, 0.0)) == []
    (said,) = caplog.messages
    assert said.startswith(f"mqtt:: a message cannot be read as {kind} (")
