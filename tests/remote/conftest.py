from __future__ import annotations

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
    assert host.left() == []
