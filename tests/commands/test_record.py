"""`edgeres record`: clips on disk that `edgeres train` reads."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import sleep

import numpy as np
import pytest
import soundfile
from rich.console import Console

from edge_res.clips.manifest import read_entries
from edge_res.clips.takes import Progress
from edge_res.commands.record import uninterrupted
from edge_res.commands.record_screen import LiveScreen
from edge_res.flow import Samples
from edge_res.sources.files import flac_of
from tests.edgeres import edgeres, sentence
from tests.sources.board import Board, frames, wait_for

RATE_HZ = 8000


def sound(path: Path, *peaks: float, channels: int = 1) -> Samples:
    """A recording of a second of noise for each peak; 0 is silence, above 1 it clips."""
    rng = np.random.default_rng(0)
    seconds = [np.clip(peak * rng.uniform(-1, 1, (RATE_HZ, channels)), -1, 1 - 2**-15) for peak in peaks]
    soundfile.write(path, np.concatenate(seconds), RATE_HZ, subtype="PCM_16")
    samples: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "manifest.csv").read_text().splitlines()))


def told(result: subprocess.CompletedProcess[bytes]) -> str:
    assert b"Traceback" not in result.stderr, result.stderr.decode()
    return result.stderr.decode()


def test_good_takes_are_kept_and_others_taken_again(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    samples = sound(source, 0.1, 0.5, 0.001, 3.0, 0, 0.2, 0.3, 0.4)
    options = ["--label", "yes", "--pause", "0", "--group", "ann b", "--set", "mine", "--count", "4", "--json"]
    result = edgeres("record", clips, source, *options)
    assert result.returncode == 0, told(result)
    kept = [0, 1, 5, 6]
    for i, second in enumerate(kept):
        found, rate_hz = soundfile.read(clips / "yes" / f"ann b_nohash_{i}.flac", dtype="float32", always_2d=True)
        assert rate_hz == RATE_HZ
        np.testing.assert_array_equal(found, samples[second * RATE_HZ : (second + 1) * RATE_HZ])
    lines = told(result).splitlines()
    rejected = [line.partition("rejected: ")[2] for line in lines if "rejected" in line]
    assert [reason.split(",")[0].split(" at ")[0] for reason in rejected] == [
        "it is silent", "it clips", "it is a flat line",
    ]  # fmt: skip
    assert lines[-1] == f"edgeres: 4 of 4 clips of 'yes' were added to {clips}"
    found_rows = rows(clips)
    assert [json.loads(line)["file"] for line in result.stdout.splitlines()] == [row["file"] for row in found_rows]
    first = found_rows[0]
    assert (first["label"], first["group"], first["set"], first["rate_hz"]) == ("yes", "ann b", "mine", "8000")
    assert (first["device"], first["channels"], first["unit"], first["seconds"]) == (str(source), "1", "", "1.0")
    assert float(first["peak"]) == pytest.approx(0.1, abs=0.001)
    assert sorted(os.listdir(clips / "yes")) == [f"ann b_nohash_{i}.flac" for i in range(4)]  # noqa: PTH208


def test_numbers_go_on_and_train_reads_the_folder_and_the_manifest(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    sound(source, *[0.5] * 6)
    for label, group, count in (("yes", "ann", 2), ("no", "ann", 1), ("yes", "bob", 1), ("yes", "ann", 3)):
        arguments = ["--label", label, "--group", group, "--count", str(count), "--pause", "0.25", "--seconds", "0.5"]
        before = {path: path.read_bytes() for path in clips.rglob("*.flac")}
        assert edgeres("record", clips, source, *arguments).returncode == 0
        assert all(path.read_bytes() == content for path, content in before.items())
    in_folder, _ = read_entries(clips)
    in_manifest, _ = read_entries(clips / "manifest.csv")
    assert sorted((e.path, e.label, e.group) for e in in_manifest) == [(e.path, e.label, e.group) for e in in_folder]
    assert [(e.path.name, e.label, e.group) for e in in_folder] == [
        ("ann_nohash_0.flac", "no", "ann"),
        *[(f"ann_nohash_{i}.flac", "yes", "ann") for i in range(5)],
        ("bob_nohash_0.flac", "yes", "bob"),
    ]
    assert all(e.rate_hz == RATE_HZ for e in in_manifest)


def test_a_manifest_of_ones_own_keeps_its_rows_and_columns(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    sound(source, 0.5)
    clips.mkdir()
    (clips / "manifest.csv").write_text('file,label,mood\nold.wav,yes,"good, very"\n')
    assert edgeres("record", clips, source, "--label", "ja ö", "--pause", "0", "--count", "1").returncode == 0
    old, new = rows(clips)
    assert (old["file"], old["label"], old["mood"], old["group"]) == ("old.wav", "yes", "good, very", "")
    assert (new["label"], new["mood"]) == ("ja ö", "")
    for text in ("a,b\n1,2\n", "file,label\nx,y,z,1\n", "\xff\xfe"):
        (clips / "manifest.csv").write_text(text, encoding="latin-1")
        result = edgeres("record", clips, source, "--label", "yes", "--pause", "0")
        assert "manifest.csv is not a manifest that rows can be added to (" in sentence(result)
        assert result.returncode == 2


@pytest.mark.parametrize("exact", [True, False])
def test_flac_holds_the_samples(tmp_path: Path, exact: bool) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).astype(np.float32)
    samples[0] = (-1, 2)
    if exact:
        samples = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.float32) / np.float32(32768)
    (tmp_path / "a.flac").write_bytes(flac_of(samples, 44100))
    found, rate_hz = soundfile.read(tmp_path / "a.flac", dtype="float32", always_2d=True)
    assert rate_hz == 44100
    assert soundfile.info(tmp_path / "a.flac").subtype == ("PCM_16" if exact else "PCM_24")
    np.testing.assert_allclose(found, np.clip(samples, -1, 1), rtol=0, atol=0 if exact else 1.2e-7)


def test_a_source_that_ends_too_early_and_one_that_is_never_good(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    sound(source, 0.5, 0.5)
    result = edgeres("record", clips, source, "--label", "yes", "--pause", "0", "--count", "5")
    assert result.returncode == 3
    assert told(result).splitlines()[-2:] == [
        f"edgeres: 2 of 5 clips of 'yes' were added to {clips}",
        f"edgeres: {source} ended after 2 of 5 clips; give it more to record.",
    ]
    assert len(rows(clips)) == 2
    sound(source, *[0] * 25)
    result = edgeres("record", clips, source, "--label", "yes", "--pause", "0")
    assert result.returncode == 5
    assert "20 takes in a row were rejected, the last because it is a flat line at 0; check" in told(result)


def test_takes_that_are_rejected_now_and_then_do_not_end_it(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    sound(source, *[0] * 15, 0.5, *[0] * 15, 0.5)
    result = edgeres("record", clips, source, "--label", "yes", "--pause", "0", "--count", "2")
    assert result.returncode == 0, told(result)


def test_a_sensor_with_a_unit_gives_arrays(tmp_path: Path) -> None:
    board = Board(tmp_path / "sensor")
    board.plug()
    clips = tmp_path / "clips"
    source = f"serial:{board.path}?rate=1000&channels=3&unit=g&format=binary"
    command = [sys.executable, "-m", "edge_res.cli", "record", str(clips), source, "--label", "normal"]
    options = ["--pause", "0.05", "--count", "2", "--seconds", "0.3", "--group", "m1"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        first = process.stderr.readline()
        assert b"from serial:" in first
        os.set_blocking(board.fd, False)
        data = b"".join(frames(0, 60_000, 3))
        while process.poll() is None and data:
            with suppress(BlockingIOError):
                data = data[os.write(board.fd, data[:400]) :]
            sleep(0.01)
        _, stderr = process.communicate(timeout=20)
    board.close()
    assert process.returncode == 0, stderr.decode()
    kept = [line for line in stderr.decode().splitlines() if "kept as" in line]
    for i, row in enumerate(rows(clips)):
        assert kept[i].endswith(f"kept as {row['file']}, peak {float(row['peak']):.3g} g")
        assert (row["file"], row["unit"], row["rate_hz"]) == (f"normal/m1_nohash_{i}.npy", "g", "1000")
        values = np.load(clips / row["file"])
        assert (values.shape, values.dtype) == ((300, 3), np.float32)
        assert np.abs(values).max() == pytest.approx(float(row["peak"]), abs=1e-6)


def test_what_flac_cannot_hold_becomes_an_array(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    samples = sound(source, 0.5, channels=9)
    assert edgeres("record", clips, source, "--label", "x", "--pause", "0", "--count", "1").returncode == 0
    (row,) = rows(clips)
    np.testing.assert_array_equal(np.load(clips / row["file"]), samples)


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    samples = (8000 * np.random.default_rng(0).standard_normal(4 * 16000)).clip(-30000, 30000).astype("<i2")
    command = [sys.executable, "-m", "edge_res.cli", "record", str(clips), "-", "--channels", "1", "--label", "noise"]
    with subprocess.Popen([*command, "--pause", "0"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(samples.tobytes()[:-100])
        process.stdin.flush()
        wait_for(lambda: (clips / "manifest.csv").exists() and len(rows(clips)) == 3, 30)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr.decode()
    assert f"edgeres: 3 of 20 clips of 'noise' were added to {clips}" in stderr.decode()
    assert b"Traceback" not in stderr
    assert len(list((clips / "noise").iterdir())) == 3


def test_only_one_adds_to_a_folder_at_a_time(tmp_path: Path) -> None:
    clips, source = tmp_path / "clips", tmp_path / "a.wav"
    sound(source, 0.5)
    options = ["--count", "1", "--pause", "0", "--channels", "1"]
    command = [sys.executable, "-m", "edge_res.cli", "record", str(clips), "-", "--label", "no", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        process.stderr.readline()  # it is at work
        result = edgeres("record", clips, source, "--label", "yes", *options)
        assert result.returncode == 2
        assert sentence(result) == (
            f"Another `edgeres record` is adding clips to {clips}; wait until it ends, or name another folder."
        )
        process.communicate(timeout=20)
    assert edgeres("record", clips, source, "--label", "yes", *options).returncode == 0


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    sound(source, 0.5, channels=2)
    for label in ("a/b", "..", ".x", "", " x", "a_nohash_b"):
        result = edgeres("record", clips, source, "--label", label)
        assert f"The label {label!r} cannot be part of a file name" in sentence(result)
    assert "The group 'a/b' cannot" in sentence(edgeres("record", clips, source, "--label", "x", "--group", "a/b"))
    assert "There is no kind of source for 'x'" in sentence(edgeres("record", clips, "x", "--label", "x"))
    assert "cannot be created: Not a directory" in sentence(edgeres("record", source, source, "--label", "x"))
    assert "has 2 channels, counted from 0, and --channel asks for 2" in (
        sentence(edgeres("record", clips, source, "--label", "x", "--channel", "2"))
    )
    nobody = "import getpass\ndef nobody():\n    raise KeyError('uid')\ngetpass.getuser = nobody"
    result = edgeres("record", clips, source, "--label", "x", before=nobody)
    assert sentence(result) == "The user name is unknown; name the speaker or session with --group."
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    result = edgeres("record", clips, source, "--label", "x", "--pause", "0", "--count", "1", before=full)
    assert result.returncode == 10
    assert "nohash_0.flac cannot be written: File too large; make room, and run it again to continue." in told(result)
    assert list((clips / "x").iterdir()) == []


def test_a_clip_without_a_row_is_told(tmp_path: Path) -> None:
    """As one leaves that was killed while it wrote the row."""
    source, clips = tmp_path / "a.wav", tmp_path / "clips"
    sound(source, 0.5, 0.5)
    options = ["--label", "yes", "--group", "ann", "--pause", "0", "--count", "1"]
    assert "no row" not in told(edgeres("record", clips, source, *options))
    for name, more in (("ann_nohash_1.flac", ""), ("ann_nohash_2.flac", " and 1 more clips of 'ann'")):
        (clips / "yes" / name).write_bytes(b"x")
        result = edgeres("record", clips, source, *options, "--channel", "9")
        assert f"{clips}/manifest.csv has no row for ann_nohash_1.flac{more}; add one, or train on" in told(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_interrupts_a_clip_waits_for_its_row(number: signal.Signals) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def work() -> None:
        with uninterrupted():
            signal.raise_signal(number)
            done.append("all of it")

    before, done = signal.signal(number, interrupt), list[str]()
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    assert done == ["all of it"]


@pytest.mark.parametrize(("unit", "level"), [("", f"level {'━' * 22}── -6 dBFS"), ("g", "peak 0.5 g")])
def test_a_person_sees_a_countdown_the_take_and_the_level(unit: str, level: str) -> None:
    console = Console(file=io.StringIO(), width=100)
    screen = LiveScreen(console, "yes", 20, 1.0, unit)
    pictures = []
    for progress in (Progress(0.5, 1.2, 0.0), Progress(0.5, 0.0, 0.5)):
        screen._peak = progress.peak
        with console.capture() as shown:
            console.print(screen._picture(progress))
        pictures.append([" ".join(line.split()) for line in shown.get().splitlines()])
    waiting, taking = pictures
    assert (waiting[0], waiting[-1]) == ("yes 1 of 20 in 2 …", level)
    assert taking == ["yes 1 of 20: now", f"take {'━' * 12}{'─' * 12} 0.5 s", level]
