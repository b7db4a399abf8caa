"""Public data sets: downloaded from their official addresses, checked, unpacked, and listed in a manifest CSV."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from edge_res.clips.manifest import NOISE, SPEAKER_PATTERN, group_of
from edge_res.errors import ConfigError, DataError
from edge_res.export.datasets.download import PATIENCE, Patience, beside, download, writing

Tell = Callable[[str, int, int | None], None]  # what is being done, bytes done, bytes in all
Row = tuple[str, str, str, str, str]  # as in _COLUMNS
_COLUMNS = ("file", "set", "label", "group", "licence")
_CHUNK_BYTES = 1 << 20
# The words that the recipe `keywords` tells apart, as in "Speech Commands" (arXiv:1804.03209), section 5.5.
_KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


@dataclass(frozen=True)
class PublicSet:
    """Where a set is published, and how to list its files.

    `archive` is the name of the local file, `.zip` or `.tar.gz`. `sha256` is None if no lasting one is published.
    `recipe` trains on it. `rows` lists the files of an unpacked archive.
    """

    url: str
    archive: str
    sha256: str | None
    licence: str
    recipe: str
    rows: Callable[[Path], list[Row]]


@dataclass(frozen=True)
class Fetched:
    """A set on disk: its `manifest`, and the `sha256` of its archive, if known."""

    manifest: Path
    sha256: str | None
    was_there: bool


def fetch(
    name: str,
    out: Path,
    tell: Tell,
    url: str | None = None,
    sha256: str | None = None,
    patience: Patience = PATIENCE,
) -> Fetched:
    """Fetch the public set `name` into `out/name`, with a `manifest.csv`; a set that is already there stays as it is.

    `url` is a mirror; `sha256` is required instead of the published hash. The archive stays in `out`, with its SHA-256
    beside it in the format of `sha256sum`. Raises `DataError`.
    """
    known = SETS[name]
    demanded = known.sha256 if sha256 is None else digest_of(sha256)
    folder, archive = out / name, out / known.archive
    manifest, record = folder / "manifest.csv", archive.with_name(f"{archive.name}.sha256")
    if manifest.exists():
        was = recorded(record)
        if sha256 is not None and was != demanded:
            raise DataError(
                f"{folder} was unpacked from an archive with SHA-256 {was or 'unknown'}, not {demanded}; move it and "
                f"{archive} away to download another."
            )
        return Fetched(manifest, was, True)
    if folder.exists():
        raise DataError(f"{folder} exists but has no manifest.csv; move it away, or choose another --out.")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    if archive.exists():
        found = sha256_of(archive, tell)
        if demanded not in (None, found):
            raise DataError(f"{archive} has SHA-256 {found}, not {demanded}; move it away to download it again.")
    else:
        found = obtain(url or known.url, archive, demanded, tell, patience)
    with writing(record):
        record.write_text(f"{found}  {archive.name}\n", encoding="utf-8")
    unpack(archive, folder, known.rows, tell)
    return Fetched(manifest, found, False)


def digest_of(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ConfigError(f"{text!r} is not a SHA-256, which has 64 hexadecimal digits.")
    return text.lower()


def recorded(record: Path) -> str | None:
    """The hash in a file that `sha256sum` or `fetch` wrote; None if there is none."""
    try:
        return record.read_text(encoding="utf-8").split()[0]
    except (OSError, ValueError, IndexError):
        return None


def obtain(url: str, archive: Path, demanded: str | None, tell: Tell, patience: Patience) -> str:
    """Download an archive, which gets its name once it is complete and checked; returns its SHA-256."""
    part = archive.with_name(f"{archive.name}.part")
    download(url, part, lambda done, total: tell("downloading", done, total), patience)
    found = sha256_of(part, tell)
    with writing(archive):
        if demanded in (None, found):
            part.replace(archive)
        else:
            part.unlink()
        beside(part).unlink(missing_ok=True)
    if demanded not in (None, found):
        raise DataError(
            f"The file from {url} has SHA-256 {found}, not {demanded}, and was removed; run the same command again, "
            "and if it differs again, that file was replaced: give a mirror with --url."
        )
    return found


def sha256_of(path: Path, tell: Tell) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    digest, total = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            tell("checking", file.tell(), total)
    return digest.hexdigest()


def unpack(archive: Path, folder: Path, rows: Callable[[Path], list[Row]], tell: Tell) -> None:
    """Unpack an archive and list its files; `folder` appears complete or not at all."""
    half = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(half, ignore_errors=True)  # from a run that was killed
    try:
        with writing(half), whole(archive), archive.open("rb") as raw:
            half.mkdir()
            total = archive.stat().st_size
            for name, content in files_in(archive, raw):
                target = half / inside(archive, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file, _CHUNK_BYTES)
                tell("unpacking", raw.tell(), total)
            write_manifest(half, rows(half), archive)
            half.rename(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def files_in(archive: Path, raw: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    """The names and contents of the regular files in a .zip or .tar.gz archive.

    The archive modules' own extraction is not used: its safe filters are not in every Python from 3.10 on.
    """
    if archive.suffix == ".zip":
        with zipfile.ZipFile(raw) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as content:
                        yield info.filename, content
        return
    with GzipFile(fileobj=raw) as unzipped, tarfile.open(fileobj=unzipped, mode="r:") as tar:
        for member in tar:
            if member.isdir():
                continue
            opened = tar.extractfile(member) if member.isfile() else None
            if opened is None:
                raise DataError(f"{archive} holds {member.name!r}, which is not a regular file; nothing was unpacked.")
            with opened:
                yield member.name, opened
        while unzipped.read(_CHUNK_BYTES):  # to the end, where gzip compares its own checksum
            pass


@contextmanager
def whole(archive: Path) -> Iterator[None]:
    """Turn what the archive modules raise on damage into a `DataError`."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{archive} is damaged: {error}; remove it, and run the same command to download it again."
        ) from None


def inside(archive: Path, name: str) -> PurePosixPath:
    """The path of a file in the archive, which must stay inside the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise DataError(f"{archive} holds {name!r}, which leads outside the folder; nothing was unpacked.")
    return path


def write_manifest(folder: Path, rows: list[Row], archive: Path) -> None:
    if not rows:
        raise DataError(f"{archive} holds no clips named as expected, so it is some other file; move it away.")
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *rows])


def speech_commands_rows(folder: Path) -> list[Row]:
    """The clips of Speech Commands: a folder per word, files named SPEAKER_nohash_N.wav, and background recordings.

    The sets are those of the recipe `keywords`: its ten words, the other words, the background.
    """
    rows = []
    for path in sorted(folder.glob("*/*.wav")):
        file, word = str(path.relative_to(folder)), path.parent.name
        if word == "_background_noise_":
            rows.append((file, "noise", NOISE, path.name, "CC-BY-4.0"))
        else:
            named = "keywords" if word in _KEYWORDS else "more-words"
            rows.append((file, named, word, group_of(path, SPEAKER_PATTERN) or path.name, "CC-BY-4.0"))
    return rows


def esc50_rows(folder: Path) -> list[Row]:
    """The clips of ESC-50, as its meta/esc50.csv lists them; those of the subset ESC-10 are the set `esc10`."""
    rows = []
    for table in folder.glob("*/meta/esc50.csv"):
        clips = table.parents[1].relative_to(folder) / "audio"
        try:
            for line in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
                named, licence = ("esc10", "CC-BY-3.0") if line["esc10"] == "True" else ("esc50", "CC-BY-NC-3.0")
                group = f"fold{line['fold']}:{line['src_file']}"
                rows.append((str(clips / line["filename"]), named, line["category"], group, licence))
        except (KeyError, TypeError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(
                f"The archive's meta/esc50.csv cannot be read: {error!r}; the archive is some other file, move it away."
            ) from None
    if lost := [file for file, *_ in rows if not (folder / file).is_file()]:
        raise DataError(f"The archive lacks {len(lost)} of the files that its esc50.csv names, such as {lost[0]}.")
    return rows


SETS: Mapping[str, PublicSet] = {
    "speech-commands": PublicSet(
        url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        archive="speech_commands_v0.02.tar.gz",
        # The one in the catalogues of TensorFlow Datasets and torchaudio.
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        licence="CC BY 4.0; credit Pete Warden, Speech Commands, arXiv:1804.03209",
        recipe="keywords",
        rows=speech_commands_rows,
    ),
    "esc50": PublicSet(
        url="https://github.com/karolpiczak/ESC-50/archive/refs/heads/master.zip",
        archive="ESC-50-master.zip",
        sha256=None,  # GitHub packs it on request, and does not promise the same bytes each time
        licence="set esc10 CC BY 3.0, set esc50 CC BY-NC 3.0, not for commercial use; credit Karol J. Piczak, ESC: "
        "Dataset for Environmental Sound Classification, and the authors of the clips, listed in its LICENSE",
        recipe="environment",
        rows=esc50_rows,
    ),
}
