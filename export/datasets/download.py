"""Downloads that resume where they stopped: byte ranges with a validator (RFC 9110, sections 13.1.5 and 14)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from edge_res.errors import ConfigError, DataError
from edge_res.version import __version__

Tell = Callable[[int, int | None], None]  # bytes so far, and bytes in all, if known
_CHUNK_BYTES = 1 << 18
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # status codes of errors that may pass
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Patience:
    """Tries in a row without new data, the wait between two tries, and how long a server may be silent."""

    tries: int = 5
    wait_s: float = 2.0
    timeout_s: float = 30.0


PATIENCE = Patience()


def download(url: str, part: Path, tell: Tell, patience: Patience) -> None:
    """Complete the file `part` with what is at `url`.

    What `part` already holds of this URL is not sent again if the server gave a validator (an ETag or a date) that is
    still valid; the validator is kept beside `part`. Raises `DataError` if the file cannot be completed; `part` stays.
    """
    check_url(url)
    why: object = ""
    left, (most, _) = patience.tries, what_is_kept(url, part)
    while left:
        try:
            return receive(url, part, tell, patience.timeout_s)
        except HTTPError as error:
            error.close()
            if error.code not in _PASSING:
                raise DataError(
                    f"{url} cannot be downloaded: the server answered {error.code} {error.reason}; if the data has "
                    "moved, give its new address or a mirror with --url."
                ) from None
            why = f"the server answered {error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            why = error.reason if isinstance(error, URLError) else error
        kept, validator = what_is_kept(url, part)
        left = patience.tries if kept > most else left - 1
        most = max(most, kept)
        if left:
            time.sleep(patience.wait_s)
    going_on = f"{kept:,} bytes are kept, and running the same command again resumes there"
    raise DataError(
        f"{url} could not be downloaded: no new data in {patience.tries} tries, the last error was: "
        f"{str(why) or repr(why)}; "
        f"{going_on if kept and validator else 'run the same command again'}."
    )


def check_url(url: str) -> None:
    """Raise `ConfigError` for what is not an HTTP address."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii()
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"{url!r} is not the address of a file to download; it must begin with http:// or https://.")


def receive(url: str, part: Path, tell: Tell, timeout_s: float) -> None:
    """One try. Raises `OSError` or `HTTPException` if it ends early."""
    done, validator = what_is_kept(url, part)
    headers = {"User-Agent": f"edgeres/{__version__}"}
    if done and validator:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    try:
        answer = urlopen(Request(url, headers=headers), timeout=timeout_s)
    except HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{done}":
            return  # it was already complete
        forget(part)
        raise ConnectionError("the server has less than was downloaded before") from None
    with answer:
        if answer.status == 206:
            done, total = place_of(answer, done, validator, part)
        else:
            done, total = 0, whole_number(answer.headers.get("Content-Length"))
            start_over(url, part, validator_of(answer))
        tell(done, total)
        with writing(part), part.open("ab", buffering=0) as file:  # unbuffered: a write that fails fails here
            done = append(answer, file, done, total, tell)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def append(answer: HTTPResponse, file: BinaryIO, done: int, total: int | None, tell: Tell) -> int:
    """Write the answer's bytes as they come; returns the size of the file."""
    while total is None or done < total:
        try:
            chunk = answer.read1(_CHUNK_BYTES)
        except OSError as error:
            raise HTTPException(str(error)) from error  # an error of the network, not of the disk
        if not chunk:
            break
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]
        done += len(chunk)
        tell(done, total)
    return done


def place_of(answer: HTTPResponse, done: int, validator: str, part: Path) -> tuple[int, int | None]:
    """Where the part that was sent begins, and how long the whole is; it must continue what is already here."""
    place = _RANGE.fullmatch(answer.headers.get("Content-Range") or "")
    if place is None or int(place[1]) != done or validator_of(answer) not in ("", validator):
        forget(part)
        raise ConnectionError("the server sent a part that was not requested")
    return done, whole_number(place[2])


def whole_number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def validator_of(answer: HTTPResponse) -> str:
    """What distinguishes this content from a later one at its address: a strong ETag, the date, or else nothing."""
    tag = answer.headers.get("ETag") or ""
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified") or ""


def start_over(url: str, part: Path, validator: str) -> None:
    """Empty `part`. In this order, a kill in between never leaves bytes with the validator of other content."""
    with writing(part):
        part.unlink(missing_ok=True)
        beside(part).write_text(f"{url}\n{validator}\n", encoding="utf-8")


def what_is_kept(url: str, part: Path) -> tuple[int, str]:
    """The number of bytes in `part` and their validator; 0 and none if they are of another URL."""
    try:
        its_url, validator = beside(part).read_text(encoding="utf-8").splitlines()
        return (part.stat().st_size, validator) if its_url == url else (0, "")
    except (OSError, ValueError):
        return 0, ""


def forget(part: Path) -> None:
    """Remove `part` and its validator."""
    part.unlink(missing_ok=True)
    beside(part).unlink(missing_ok=True)


def beside(part: Path) -> Path:
    """The file that holds the URL and the validator of `part`."""
    return part.with_name(f"{part.name}.validator")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk, or a folder without write permission, into a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} could not be written: {error.strerror or error}; make room and run the same command again, which "
            "keeps what is already downloaded, or choose another folder with --out."
        ) from None
