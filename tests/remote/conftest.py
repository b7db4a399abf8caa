from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.sshd import Sshd, sshd


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_left(host: Sshd) -> Iterator[None]:
    yield
    until_s = time.monotonic() + 60
    while host.left():  # the other side cleans up after a process that was killed
        assert time.monotonic() < until_s, host.left()
        time.sleep(0.05)
