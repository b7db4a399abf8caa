"""The states of a live source."""

from __future__ import annotations

from edge_res.flow import Health
from edge_res.sources.watchdog import Watchdog


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_source_goes_through_its_states_and_back() -> None:
    clock = Clock()
    dog = Watchdog("mic:", 1.0, give_up_s=10.0, clock=clock)
    assert not list(dog.fed(0.1))
    clock.now_s += 0.9
    assert not list(dog.waited(0.1))
    clock.now_s += 0.2
    assert list(dog.waited(0.1)) == [Health("mic:", "alarmed", "no sample for 1.1 s", 0.1)]
    assert not list(dog.waited(0.1))
    assert list(dog.recovering("it is opened again", 0.1)) == [Health("mic:", "recovering", "it is opened again", 0.1)]
    assert not list(dog.recovering("it is opened again", 0.1))
    assert not list(dog.waited(0.1))
    clock.now_s += 4.0
    assert not dog.given_up
    assert list(dog.fed(0.2)) == [Health("mic:", "healthy", "samples arrive again after 5.1 s", 0.2)]
    assert not list(dog.fed(0.3))
    clock.now_s += 10.1
    assert dog.given_up


def test_without_a_limit_it_never_gives_up() -> None:
    clock = Clock()
    dog = Watchdog("mic:", 1.0, give_up_s=None, clock=clock)
    clock.now_s += 1e9
    assert not dog.given_up
