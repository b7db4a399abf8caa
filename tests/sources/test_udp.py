"""Sensors that send datagrams, over loopback: order, losses and senders."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from time import monotonic, sleep

import numpy as np
import pytest

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Samples
from edge_res.sources import Wanted, open_source
from edge_res.sources.framing import pack_frame
from edge_res.sources.udp import Datagrams, Udp
from tests.sources.board import Heard, frames

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


def free_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def port() -> int:
    return free_port()


@contextmanager
def sender(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, port))
        yield sock


def open_udp(port: int, options: str = "", host: str = "127.0.0.1", want: Wanted = WANT) -> Udp:
    return Udp(f"udp://{host}:{port}?rate=1000&channels=3{options}", want, buffer_s=70.0)


def test_five_percent_lost_and_reordered_is_accounted_for_exactly(port: int) -> None:
    rng, sent = random.Random(5), frames(0, 60_000, 3)
    missing = set(rng.sample(range(1, 5980), 300))
    whole = [i for i in range(6000) if i not in missing]
    order = sorted(whole, key=lambda i: i + rng.uniform(0, 8) * (0 < i < 5990))
    assert sum(a > b for a, b in pairwise(order)) > 1000
    with open_udp(port) as source, sender(port) as out:
        heard = Heard(source)
        for k, i in enumerate(order):
            out.send(sent[i])
            if k % 100 == 50:
                out.send(sent[i])
            if k % 50 == 0:
                sleep(0.002)  # the kernel's buffer is finite
        heard.until(lambda heard: heard.received + heard.lost == 60_000)
        assert source._datagrams.late == 57
    assert (heard.received, heard.lost) == (57_000, 3000)
    heard.check_places()
    heard.check_signal()
    assert heard.named == []


def test_datagrams_dropped_by_the_kernel_are_counted(port: int) -> None:
    sent = frames(0, 300_000, 3)
    with open_udp(port, "&alarm=0.3") as source, sender(port) as out:
        source._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        heard = Heard(source)
        began = 0
        while not heard.lost and began < len(sent) - 100:
            for frame in sent[began : began + 100]:
                out.send(frame)
            began += 100
            heard.until(lambda heard: heard.received > 0)
            heard.listen(0.05)
        out.send(frames(began * 10, 10, 3)[0])
        heard.until(lambda heard: heard.received + heard.lost == began * 10 + 10)
    assert heard.lost
    heard.check_places()
    heard.check_signal()


def test_frames_later_than_the_window_are_lost(port: int) -> None:
    sent = frames(0, 200, 3)
    with open_udp(port, "&window=2") as source, sender(port) as out:
        heard = Heard(source)
        for i in [0, 1, 3, 4, 5, 2, 7, 6, *range(8, 20)]:
            out.send(sent[i])
        heard.until(lambda heard: heard.received + heard.lost == 200)
        assert source._datagrams.late == 1
    assert heard.gaps == [10]
    heard.check_signal()


def test_frames_held_back_are_passed_on_after_a_silence(port: int) -> None:
    sent = frames(0, 200, 3)
    with open_udp(port, "&alarm=0.3") as source, sender(port) as out:
        heard = Heard(source)
        for i in [0, 2, 3]:
            out.send(sent[i])
        heard.until(lambda heard: heard.received == 30)
    assert heard.gaps == [10]


def test_frames_held_back_are_passed_on_before_the_source_is_given_up(port: int) -> None:
    sent = frames(0, 200, 3)
    with open_udp(port, want=Wanted(1000, 3, 0.08, give_up_s=0.8)) as source, sender(port) as out:
        heard = Heard(source)
        for i in [0, 2, 3]:
            out.send(sent[i])
        with pytest.raises(SourceError, match="is given up"):
            heard.listen(20.0)
    assert (heard.received, heard.gaps) == (30, [10])


def test_a_sender_that_restarts_leaves_a_gap_by_the_clock(port: int) -> None:
    with open_udp(port) as source, sender(port) as out:
        heard = Heard(source)
        began_s = monotonic()
        for frame in frames(0, 1000, 3):
            out.send(frame)
        heard.until(lambda heard: heard.received == 1000)
        last_s = monotonic()
        sleep(0.4)
        least = 1000 * (monotonic() - last_s)
        for frame in frames(0, 500, 3):
            out.send(frame)
        heard.until(lambda heard: heard.received == 1500)
        most = 1000 * (monotonic() - began_s)
    (gap,) = heard.gaps
    assert least - 20 <= gap <= most  # by the clock, less the first frame
    heard.check_places()


def test_another_sender_is_ignored_until_the_first_is_silent(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with open_udp(port, "&alarm=0.8") as source, sender(port) as first, sender(port) as second:
        heard = Heard(source)
        for ours, theirs in zip(frames(0, 300, 3), frames(5000, 300, 3), strict=True):
            first.send(ours)
            second.send(theirs)
        heard.until(lambda heard: heard.received == 300)
        heard.check_signal()
        assert heard.lost == 0
        heard.until(lambda heard: heard.named == ["alarmed"])
        for theirs in frames(5300, 300, 3):
            second.send(theirs)
        heard.until(lambda heard: heard.received == 600)
        names = ["{}:{}".format(*sock.getsockname()) for sock in (first, second)]
    assert 780 <= heard.lost < 3000  # by the clock; the numbers would say 5000
    assert heard.named == ["alarmed", "healthy"]
    refused, anew = caplog.messages
    assert refused == f"udp://127.0.0.1:{port}: {names[1]} also sends; it is ignored while {names[0]} does."
    assert anew.startswith(f"udp://127.0.0.1:{port} has restarted with number 5300 after 299; by the clock, ")


def test_another_sender_is_heard_from_its_first_frame_on() -> None:
    datagrams = Datagrams("udp:", 3, 1000, 8, 1.0)
    told: list[tuple[int, Samples]] = []
    for now_s, who, first in [(0.0, "a", 500), (0.01, "a", 510), (0.02, "a", 530), (0.9, "b", 0), (1.5, "b", 10)]:
        told += datagrams.push([(frames(first, 10, 3)[0], who)], now_s)
    assert [(lost, samples[0, 0]) for lost, samples in told] == [(0, 500), (0, 510), (10, 530), (1470, 10)]


def test_another_sender_with_other_channels_is_always_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    datagrams = Datagrams("udp:", 3, 1000, 8, 1.0)
    told: list[tuple[int, Samples]] = []
    for now_s, who, channels in [(0.0, "a", 3), (2.0, "b", 1), (3.0, "b", 1), (4.0, "a", 3)]:
        told += datagrams.push([(frames(round(1000 * now_s), 10, channels)[0], who)], now_s)
    told += datagrams.push([], 6.0)
    assert [(lost, samples[0, 0]) for lost, samples in told] == [(0, 0), (3990, 4000)]
    assert caplog.messages == ["udp:: b sends frames with channels=1; it is ignored."]


@pytest.mark.parametrize(("host", "to"), [("", "127.0.0.1"), ("", "::1"), ("[::1]", "::1"), ("localhost", "127.0.0.1")])
def test_it_listens_on_the_given_address(port: int, host: str, to: str) -> None:
    if host == "localhost":
        to = str(socket.getaddrinfo("localhost", port)[0][4][0])
    with open_udp(port, host=host) as source, sender(port, to) as out:
        heard = Heard(source)
        out.send(frames(0, 10, 3)[0])
        heard.until(lambda heard: heard.received == 10)
        heard.check_signal()


def test_datagrams_that_are_not_frames_are_reported_once(port: int, caplog: pytest.LogCaptureFixture) -> None:
    whole = frames(0, 20, 3)
    with open_udp(port, "&scale=0.5&unit=g") as source, sender(port) as out:
        heard = Heard(source)
        for data in [b"hello", b"", whole[0][:-1], frames(20, 10, 3)[0] + b"x", *whole]:
            out.send(data)
        heard.until(lambda heard: heard.received == 20)
        assert source.unit == "g"
        name = "{}:{}".format(*out.getsockname())
    np.testing.assert_array_equal(heard.blocks[0][2][1], [0.5, 4.0, 4.5])
    assert caplog.messages == [
        f"udp://127.0.0.1:{port}: {name} sends datagrams of 5 bytes that are not frames; check the CRC."
    ]


def test_an_ipv4_sender_to_a_dual_stack_socket_has_its_ipv4_name(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with open_udp(port, host="") as source, sender(port) as out:
        heard = Heard(source)
        out.send(b"hello")
        heard.until(lambda _: bool(caplog.messages))
        assert " {}:{} sends datagrams of 5 bytes".format(*out.getsockname()) in caplog.messages[0]


def test_a_frame_of_other_channels_ends_it(port: int) -> None:
    with open_udp(port) as source, sender(port) as out:
        heard = Heard(source)
        out.send(frames(0, 10, 1)[0])
        with pytest.raises(SignalError, match=r" sends 1 channel, expected 3; set channels=1, and"):
            heard.until(lambda _: False)


def test_the_rate_is_measured(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_res.sources.sensor._MEASURED_S", 0.8)
    ended = threading.Event()

    def play() -> None:
        with sender(port) as out:
            began_s, at = monotonic(), 0
            while not ended.wait(0.01):
                n = int(833 * (monotonic() - began_s)) - at
                out.send(pack_frame(at, np.zeros((max(n, 1), 3))))
                at += max(n, 1)

    player = threading.Thread(target=play)
    player.start()
    try:
        source = open_source(f"udp://127.0.0.1:{port}?rate=measure&channels=3", WANT)
        assert source.rate_hz == pytest.approx(833, rel=0.1)  # a busy machine is late; test_sensor.py is exact
        source.__exit__(None, None, None)
    finally:
        ended.set()
        player.join()


REFUSED = {
    "udp://:5005?rate=1000&colour=red": "has the unknown option 'colour'; its options are channels, rate, unit,",
    "udp://:5005": "does not say its sample rate; give it in Hz as in udp://:5005?rate=1000&channels=3, or use",
    "udp://?rate=1000": "names no port to listen on; give one as in udp://:5005?rate=1000&channels=3, or",
    "udp:5005?rate=1000": "names no port to listen on; ",
    "udp://:0?rate=1000": "names no port to listen on; ",
    "udp://:99999?rate=1000": "names no port to listen on; ",
    "udp://a:5005/topic?rate=1000": "names no port to listen on; ",
    "udp://:5005?rate=1000&window=-1": "says window=-1; expected 0 to 1000 datagrams.",
    "udp://:5005?rate=1000&alarm=0": "says alarm=0; expected a number of seconds above 0.",
    "udp://:5005?rate=1000&scale=nan": "says scale=nan; expected a number other than 0.",
}


@pytest.mark.parametrize("text", REFUSED)
def test_invalid_addresses_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(text, WANT)
    told = str(caught.value)
    assert told.startswith((f"{text} {REFUSED[text]}", f"{text.partition('?')[0]} {REFUSED[text]}"))
    assert told.count(". ") == 0


def test_a_port_in_use_and_an_address_of_another_machine(port: int) -> None:
    with ExitStack() as opened:
        opened.enter_context(open_udp(port))
        for host in ("127.0.0.1", ""):
            with pytest.raises(SourceError) as caught:
                open_udp(port, host=host)
            assert str(caught.value) == f"UDP port {port} is in use; stop that, or use another port."
    with pytest.raises(SourceError, match=r"^203\.0\.113\.7 is not an address of this machine; `ip address` lists"):
        open_udp(port, host="203.0.113.7")
