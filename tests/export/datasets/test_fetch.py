"""Public sets over loopback: checked, unpacked whole or not at all, listed so that the recipes train on them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_res.clips.manifest import Entry, read_entries
from edge_res.errors import ConfigError, DataError
from edge_res.export.datasets.download import Patience
from edge_res.export.datasets.fetch import SETS, Fetched, fetch
from tests.export.serving import Site, served

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

ROOT = Path(__file__).parents[3]
BRIEF = Patience(tries=2, wait_s=0.0, timeout_s=5.0)
WORDS = {
    **{f"{word}/a{word}_nohash_{i}.wav": f"{word} {i}".encode() for word in ("yes", "no", "bed") for i in range(2)},
    "_background_noise_/running_tap.wav": b"tap",
    "_background_noise_/README.md": b"about noise",
    "README.md": b"about",
    "testing_list.txt": b"bed/abed_nohash_0.wav\n",
}
SOUNDS = {
    "ESC-50-master/README.md": b"about",
    "ESC-50-master/meta/esc50.csv": b"filename,fold,target,category,esc10,src_file,take\n"
    b"1-100032-A-0.wav,1,0,dog,True,100032,A\n"
    b"4-5996-A-6.wav,4,6,hen,False,5996,A\n"
    b"4-181628-A-41.wav,4,41,chainsaw,True,181628,A\n",
    **{f"ESC-50-master/audio/{name}.wav": name.encode() for name in ("1-100032-A-0", "4-5996-A-6", "4-181628-A-41")},
}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def tar_of(files: Mapping[str, bytes], *more: tarfile.TarInfo) -> bytes:
    """A .tar.gz archive laid out as that of Speech Commands, whose names begin with `./`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name if name.startswith(("/", "..")) else f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info)
    return packed.getvalue()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ESC-50-master/", b"")  # the entry of a folder
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetched(name: str, site: Site, out: Path, demanded: str | None = None) -> Fetched:
    with served(site) as url:
        return fetch(name, out, lambda what, done, total: None, url, demanded, BRIEF)


def refused(name: str, site: Site, out: Path, demanded: str | None = None) -> str:
    """The error of a fetch that must not unpack anything."""
    with pytest.raises(DataError) as raised:
        fetched(name, site, out, demanded)
    assert not (out / name).exists()
    assert not (out / f"{name}.tmp").exists()
    return str(raised.value)


def words(out: Path, content: bytes) -> Fetched:
    return fetched("speech-commands", Site(content), out, sha256(content))


def recipe(name: str) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "export" / "recipes" / f"{name}.toml").read_text())
    return found


def of_set(entries: list[Entry], name: str) -> list[tuple[str, str]]:
    return [(entry.label, entry.group) for entry in entries if entry.set == name]


def test_speech_commands_as_the_recipe_keywords_wants_it(tmp_path: Path) -> None:
    found = words(tmp_path, tar_of(WORDS))
    assert found.manifest == tmp_path / "speech-commands" / "manifest.csv"
    entries, _ = read_entries(found.manifest, sets=recipe("keywords")["sets"])  # type: ignore[arg-type]
    assert of_set(entries, "keywords") == [("no", "ano"), ("no", "ano"), ("yes", "ayes"), ("yes", "ayes")]
    assert of_set(entries, "more-words") == [("bed", "abed")] * 2
    assert of_set(entries, "noise") == [("noise", "running_tap.wav")]
    assert all(entry.path.read_bytes() == WORDS[f"{e.parent.name}/{e.name}"] for entry in entries if (e := entry.path))
    assert (tmp_path / "speech-commands" / "testing_list.txt").exists()
    assert {row["licence"] for row in csv.DictReader(found.manifest.read_text().splitlines())} == {"CC-BY-4.0"}


def test_esc50_as_the_recipe_environment_wants_it(tmp_path: Path) -> None:
    found = fetched("esc50", Site(zip_of(SOUNDS)), tmp_path)
    wanted = recipe("environment")
    entries, _ = read_entries(found.manifest, sets=wanted["sets"])  # type: ignore[arg-type]
    assert of_set(entries, "esc10") == [("dog", "fold1:100032"), ("chainsaw", "fold4:181628")]
    pattern = str(wanted["splits"]["validation_groups"])  # type: ignore[index]
    assert [bool(re.search(pattern, entry.group)) for entry in entries] == [False, True]
    everything, _ = read_entries(found.manifest)
    assert of_set(everything, "esc50") == [("hen", "fold4:5996")]
    assert all(entry.path.read_bytes() == entry.path.stem.encode() for entry in everything)
    licences = [(row["set"], row["licence"]) for row in csv.DictReader(found.manifest.read_text().splitlines())]
    assert licences == [("esc10", "CC-BY-3.0"), ("esc50", "CC-BY-NC-3.0"), ("esc10", "CC-BY-3.0")]


def test_the_sets_name_their_recipes_and_checksums() -> None:
    for name, known in SETS.items():
        assert known.sha256 is None or re.fullmatch("[0-9a-f]{64}", known.sha256), name
        assert (ROOT / "export" / "recipes" / f"{known.recipe}.toml").exists()
        assert known.url.endswith((".zip", ".tar.gz"))
        assert known.archive.endswith((".zip", ".tar.gz"))


def test_the_keywords_are_those_of_the_recipe(tmp_path: Path) -> None:
    labels = recipe("keywords")["labels"]
    assert isinstance(labels, list)
    found = words(tmp_path, tar_of({f"{word}/x_nohash_0.wav": word.encode() for word in [*labels, "wow"]}))
    entries, _ = read_entries(found.manifest)
    assert sorted(entry.label for entry in entries if entry.set == "keywords") == sorted(labels)


def test_the_checksum_lies_beside_the_archive(tmp_path: Path) -> None:
    content = zip_of(SOUNDS)
    found = fetched("esc50", Site(content), tmp_path)
    assert found.sha256 == sha256(content)
    assert (tmp_path / "ESC-50-master.zip").read_bytes() == content
    assert (tmp_path / "ESC-50-master.zip.sha256").read_text() == f"{sha256(content)}  ESC-50-master.zip\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ESC-50-master.zip", "ESC-50-master.zip.sha256", "esc50"
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_wrong_checksum_removes_the_file(tmp_path: Path, name: str) -> None:
    content = zip_of(SOUNDS) if name == "esc50" else tar_of(WORDS)
    demanded = "0" * 64 if name == "esc50" else None  # the published one is required by default
    told = refused(name, Site(content), tmp_path, demanded)
    assert f"has SHA-256 {sha256(content)}, not {demanded or SETS[name].sha256}, and was removed" in told
    assert not list(tmp_path.iterdir())


def test_an_invalid_checksum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        fetched("esc50", Site(b""), tmp_path, "7771e4b9d86d0945acce719c7a59305a")


def test_a_set_that_is_already_there_is_not_fetched_again(tmp_path: Path) -> None:
    site = Site(zip_of(SOUNDS))
    assert not fetched("esc50", site, tmp_path).was_there
    before = (tmp_path / "esc50" / "manifest.csv").stat().st_mtime_ns
    assert fetched("esc50", site, tmp_path, sha256(site.body)).was_there
    assert (tmp_path / "esc50" / "manifest.csv").stat().st_mtime_ns == before
    assert len(site.asked) == 1
    with pytest.raises(DataError, match=f"was unpacked from an archive with SHA-256 {sha256(site.body)}, not 00000"):
        fetched("esc50", site, tmp_path, "0" * 64)


def test_an_archive_that_is_already_there_is_unpacked_without_a_download(tmp_path: Path) -> None:
    content, site = zip_of(SOUNDS), Site(b"")
    (tmp_path / "ESC-50-master.zip").write_bytes(content)
    assert "not 000000" in refused("esc50", site, tmp_path, "0" * 64)
    assert (tmp_path / "ESC-50-master.zip").read_bytes() == content  # it was not downloaded by this command
    assert fetched("esc50", site, tmp_path, sha256(content).upper()).sha256 == sha256(content)
    assert not site.asked


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "esc50").mkdir()
    (tmp_path / "esc50" / "mine.wav").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"has no manifest\.csv; move it away"):
        fetched("esc50", Site(zip_of(SOUNDS)), tmp_path)
    assert (tmp_path / "esc50" / "mine.wav").read_bytes() == b"mine"


def test_what_a_killed_run_left_is_not_in_the_set(tmp_path: Path) -> None:
    (tmp_path / "esc50.tmp").mkdir()
    (tmp_path / "esc50.tmp" / "half.wav").write_bytes(b"half")
    fetched("esc50", Site(zip_of(SOUNDS)), tmp_path)
    assert sorted(path.name for path in (tmp_path / "esc50").iterdir()) == ["ESC-50-master", "manifest.csv"]


def link(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize("name", ["../out.wav", "yes/../../out.wav", "{absolute}/out.wav"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    out, more = tmp_path / "in", {name.format(absolute=tmp_path): b"out"}
    content = tar_of({**WORDS, **more})
    assert "leads outside the folder" in refused("speech-commands", Site(content), out, sha256(content))
    assert "leads outside the folder" in refused("esc50", Site(zip_of({**SOUNDS, **more})), out)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert not list(out.glob("*.wav"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    content = tar_of(WORDS, link("yes/link", "/etc", kind))
    assert "'yes/link', which is not a regular file" in refused(
        "speech-commands", Site(content), tmp_path, sha256(content)
    )


@pytest.mark.parametrize("name", sorted(SETS))
@pytest.mark.parametrize("damage", ["cut", "flipped", "no archive"])
def test_a_damaged_archive_is_reported(tmp_path: Path, name: str, damage: str) -> None:
    noise = {"yes/z_nohash_9.wav": hashlib.shake_256(b"").digest(50_000)}
    content = zip_of({**noise, **SOUNDS}) if name == "esc50" else tar_of({**noise, **WORDS})
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    content = {"cut": content[:middle], "flipped": flipped, "no archive": b"<html>sorry</html>"}[damage]
    assert "is damaged" in refused(name, Site(content), tmp_path, sha256(content))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ESC-50-master/meta/esc50.csv": None}, "holds no clips"),
        ({"ESC-50-master/meta/esc50.csv": b"filename,fold\n1,2\n"}, "esc50.csv cannot be read: KeyError"),
        ({"ESC-50-master/meta/esc50.csv": b"filename,\xff\n1,2\n"}, "esc50.csv cannot be read: UnicodeDecodeError"),
        ({"ESC-50-master/audio/4-5996-A-6.wav": None}, "lacks 1 of the files .* such as .*4-5996-A-6.wav"),
    ],
)
def test_an_archive_of_something_else_is_reported(tmp_path: Path, changed: dict[str, bytes], words: str) -> None:
    files = {name: content for name, content in {**SOUNDS, **changed}.items() if content is not None}
    assert re.search(words, refused("esc50", Site(zip_of(files)), tmp_path))


def test_a_disk_that_is_full_while_unpacking_leaves_the_archive(tmp_path: Path) -> None:
    content = zip_of({**SOUNDS, "ESC-50-master/audio/long.wav": bytes(1_000_000)})  # packed it is small
    code = (
        "import resource, sys; from pathlib import Path; from edge_res.export.datasets.fetch import fetch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try: fetch('esc50', Path(sys.argv[1]), lambda what, done, total: None, sys.argv[2])\n"
        "except ValueError as error: print(error)"
    )
    site = Site(content)
    with served(site) as url:
        run = subprocess.run([sys.executable, "-c", code, tmp_path, url], capture_output=True, text=True)
        assert "esc50.tmp could not be written: File too large" in run.stdout, run.stderr
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".sha256", ".zip"]
        fetch("esc50", tmp_path, lambda what, done, total: None, url)
    assert len(site.asked) == 1
    assert (tmp_path / "esc50" / "manifest.csv").exists()


def test_progress_names_what_is_done(tmp_path: Path) -> None:
    told: list[str] = []
    with served(Site(zip_of(SOUNDS))) as url:
        fetch("esc50", tmp_path, lambda what, done, total: told.append(what), url)
    assert list(dict.fromkeys(told)) == ["downloading", "checking", "unpacking"]


def test_no_torch_is_needed() -> None:
    modules = "edge_res.export.datasets.fetch, edge_res.commands.fetch_data"
    code = f"import sys, json, {modules}; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "edge_res.export.datasets.download" in loaded
    assert not {name.split(".")[0] for name in loaded} & {"torch", "numpy", "soundfile", "onnx", "sklearn"}
