"""Downloads over loopback: broken off, resumed, started over, given up."""

from __future__ import annotations

import random
import subprocess
import sys
from email.utils import formatdate
from pathlib import Path

import pytest

from edge_res.errors import ConfigError, DataError
from edge_res.export.datasets.download import Patience, beside, download
from tests.export.serving import Site, served

BODY = random.Random(0).randbytes(900_001)
OTHER = random.Random(1).randbytes(900_001)
DATE = formatdate(1523475715, usegmt=True)
BRIEF = Patience(tries=3, wait_s=0.0, timeout_s=5.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def got(site: Site, part: Path, patience: Patience = BRIEF) -> bytes:
    """What `part` has after a download."""
    with served(site) as url:
        download(url, part, lambda done, total: None, patience)
    return part.read_bytes()


def broken_off(site: Site, part: Path, url: str, at: int) -> str:
    """The error of a download that fails after `at` bytes."""
    site.cuts = [at, 0]
    with pytest.raises(DataError) as raised:
        download(url, part, lambda done, total: None, Patience(1, 0.0, 5.0))
    return str(raised.value)


@pytest.mark.parametrize("framing", ["length", "chunks", "nothing"])
def test_a_file_arrives_whole(tmp_path: Path, framing: str) -> None:
    site = Site(BODY, framing=framing)  # type: ignore[arg-type]
    assert got(site, tmp_path / "x.part") == BODY
    assert "Range" not in site.asked[0]


def test_progress_goes_up_to_all_of_it(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    with served(Site(BODY, cuts=[300_000])) as url:
        download(url, tmp_path / "x.part", lambda done, total: steps.append((done, total)), BRIEF)
    assert steps == sorted(steps)
    assert (300_000, len(BODY)) in steps
    assert steps[-1] == (len(BODY), len(BODY))


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("cuts", [[1], [400_000], [900_000], [400_000, 100_000]])
def test_a_dropped_connection_is_resumed_and_nothing_is_sent_twice(
    tmp_path: Path, cuts: list[int], framing: str
) -> None:
    site = Site(BODY, cuts=list(cuts), framing=framing)  # type: ignore[arg-type]
    assert got(site, tmp_path / "x.part") == BODY
    assert [one.get("Range") for one in site.asked] == [
        None, *(f"bytes={sum(cuts[: i + 1])}-" for i in range(len(cuts)))
    ]  # fmt: skip
    assert site.asked[1]["If-Range"] == '"first"'
    assert sum(site.sent) == len(BODY)


def test_tries_are_counted_from_the_last_byte_that_came(tmp_path: Path) -> None:
    site = Site(BODY, cuts=[0, 100_000, 0, 0, 200_000, 0, 0, 1, 0, 0])
    assert got(site, tmp_path / "x.part", BRIEF) == BODY
    with pytest.raises(DataError, match="no new data in 3 tries"):
        got(Site(BODY, cuts=[100_000] * 4, ranges=False), tmp_path / "y.part", BRIEF)


def test_an_answer_that_breaks_off_before_its_first_byte_is_tried_again(tmp_path: Path) -> None:
    assert got(Site(BODY, cuts=[0, 0]), tmp_path / "x.part") == BODY


def test_a_reset_connection_is_resumed(tmp_path: Path) -> None:
    site = Site(BODY, cuts=[500_000], how="reset")
    assert got(site, tmp_path / "x.part") == BODY
    assert len(site.asked) == 2


def test_a_silent_server_is_left_and_asked_again(tmp_path: Path) -> None:
    site = Site(BODY, cuts=[500_000], how="stall")
    assert got(site, tmp_path / "x.part", Patience(2, 0.0, 1.0)) == BODY
    assert site.asked[1]["Range"] == "bytes=500000-"
    assert not site.outwaited


def test_it_gives_up_with_a_sentence_and_resumes_in_another_run(tmp_path: Path) -> None:
    site, part = Site(BODY, cuts=[200_000, 100_000, 1000, 0, 0, 0]), tmp_path / "x.part"
    with served(site) as url:
        with pytest.raises(DataError, match=r"3 tries.*301,000 of 900,001.*running the same command again resumes"):
            download(url, part, lambda done, total: None, BRIEF)
        assert part.read_bytes() == BODY[:301_000]
        download(url, part, lambda done, total: None, BRIEF)
    assert part.read_bytes() == BODY
    assert sum(site.sent) == len(BODY)


def test_a_server_without_ranges_sends_it_from_the_beginning(tmp_path: Path) -> None:
    site = Site(BODY, cuts=[400_000], ranges=False)
    assert got(site, tmp_path / "x.part") == BODY
    assert site.asked[1]["Range"] == "bytes=400000-"
    assert site.sent == [400_000, len(BODY)]


@pytest.mark.parametrize("compares", [True, False])
def test_a_file_that_changed_is_started_over(tmp_path: Path, compares: bool) -> None:
    site, part = Site(BODY, compares=compares), tmp_path / "x.part"
    with served(site) as url:
        broken_off(site, part, url, 400_000)
        site.body, site.tag = OTHER, '"second"'
        download(url, part, lambda done, total: None, BRIEF)
    assert part.read_bytes() == OTHER


def test_a_part_from_another_place_is_not_appended(tmp_path: Path) -> None:
    site = Site(BODY, cuts=[400_000], shift=7)
    assert got(site, tmp_path / "x.part") == BODY


def test_a_date_tells_the_content_where_there_is_no_strong_tag(tmp_path: Path) -> None:
    site = Site(BODY, tag='W/"first"', date=DATE, cuts=[400_000])
    assert got(site, tmp_path / "x.part") == BODY
    assert site.asked[1]["If-Range"] == DATE
    assert sum(site.sent) == len(BODY)


def test_without_a_validator_nothing_is_resumed(tmp_path: Path) -> None:
    site, part = Site(BODY, tag=""), tmp_path / "x.part"
    with served(site) as url:
        assert "resumes" not in broken_off(site, part, url, 400_000)
        site.body = OTHER
        download(url, part, lambda done, total: None, BRIEF)
    assert "Range" not in site.asked[1]
    assert part.read_bytes() == OTHER


def test_what_is_of_another_address_is_not_resumed(tmp_path: Path) -> None:
    first, second, part = Site(BODY), Site(OTHER), tmp_path / "x.part"
    with served(first) as url, served(second) as other:
        broken_off(first, part, url, 400_000)
        download(other, part, lambda done, total: None, BRIEF)
    assert part.read_bytes() == OTHER


def test_what_was_complete_when_killed_is_not_sent_again(tmp_path: Path) -> None:
    site, part = Site(BODY), tmp_path / "x.part"
    with served(site) as url:
        for _ in range(2):
            download(url, part, lambda done, total: None, BRIEF)
    assert part.read_bytes() == BODY
    assert site.sent == [len(BODY)]


def test_more_than_the_server_has_is_started_over(tmp_path: Path) -> None:
    site, part = Site(BODY), tmp_path / "x.part"
    with served(site) as url:
        download(url, part, lambda done, total: None, BRIEF)
        site.body = OTHER[:1000]  # under the same tag: a server may be that wrong
        download(url, part, lambda done, total: None, BRIEF)
    assert part.read_bytes() == OTHER[:1000]


def test_a_validator_that_was_half_written_is_no_validator(tmp_path: Path) -> None:
    site, part = Site(BODY), tmp_path / "x.part"
    with served(site) as url:
        broken_off(site, part, url, 400_000)
        beside(part).write_text(f"{url}\n")
        download(url, part, lambda done, total: None, BRIEF)
    assert part.read_bytes() == BODY
    assert "Range" not in site.asked[-1]


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    site = Site(BODY, statuses=[503, 429])
    assert got(site, tmp_path / "x.part") == BODY


def test_an_address_that_is_gone_is_reported_at_once(tmp_path: Path) -> None:
    site = Site(BODY)
    with served(site) as url, pytest.raises(DataError, match=r"404 Not Found; .*--url"):
        download(f"{url}/moved", tmp_path / "x.part", lambda done, total: None, BRIEF)
    assert len(site.asked) == 1


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with served(Site(BODY)) as url:
        pass
    with pytest.raises(DataError, match=r"in 3 tries, .*Connection refused; run the same command again\.$"):
        download(url, tmp_path / "x.part", lambda done, total: None, BRIEF)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data.zip", "http://", "ftp://a/b", "http://[a/b", "http://a/ü"])
def test_an_invalid_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="http"):
        download(url, tmp_path / "x.part", lambda done, total: None, BRIEF)


def test_a_full_disk_is_reported_and_what_fitted_is_kept(tmp_path: Path) -> None:
    site, part = Site(BODY), tmp_path / "x.part"
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from edge_res.export.datasets.download import download, PATIENCE\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try: download(sys.argv[1], Path(sys.argv[2]), lambda done, total: None, PATIENCE)\n"
        "except ValueError as error: print(error)"
    )
    with served(site) as url:
        done = subprocess.run([sys.executable, "-c", code, url, part], capture_output=True, text=True)
        assert done.stdout.startswith(f"{part} could not be written: File too large; make room"), done.stderr
        assert part.read_bytes() == BODY[:300_000]
        assert len(site.asked) == 1
        download(url, part, lambda done, total: None, BRIEF)
    assert site.asked[1]["Range"] == "bytes=300000-"
    assert part.read_bytes() == BODY
