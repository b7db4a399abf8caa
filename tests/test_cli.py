"""The command line in a process of its own: what it prints, its exit codes, its sentences."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_res.model.bundle import bundle_path
from tests.edgeres import CLIPS, DEMO, edgeres, lines, sentence


def test_the_demo_is_heard() -> None:
    words = [w for w in json.loads(DEMO.with_suffix(".json").read_bytes())["words"] if w["label"] != "_unknown_"]
    events = [e for e in lines(edgeres("listen", "demo:", "--format", "jsonl")) if e["event"] == "on"]
    heard = [any(e["label"] == w["label"] and abs(e["start_s"] - w["onset_s"]) <= 0.5 for e in events) for w in words]
    there = [any(e["label"] == w["label"] and abs(e["start_s"] - w["onset_s"]) <= 1.0 for w in words) for e in events]
    assert sum(heard) >= 0.75 * len(words), [w for w, ok in zip(words, heard, strict=True) if not ok]
    assert there.count(False) <= 1, [e for e, ok in zip(events, there, strict=True) if not ok]


def test_events_are_as_documented() -> None:
    events = lines(edgeres("listen", "demo:", "--format", "jsonl"))
    on, off = [next(e for e in events if e["event"] == what) for what in ("on", "off")]
    assert set(on) == {"event", "label", "score", "start_s", "at_s", "source", "id", "version"}
    assert set(off) == {*on, "end_s", "duration_s", "peak"}
    assert on["version"] == 1
    assert off["id"] == on["id"]
    assert off["duration_s"] == pytest.approx(off["end_s"] - off["start_s"], abs=1e-4)
    assert off["peak"] >= max(on["score"], off["score"])
    assert len({e["id"] for e in events}) == len(events) / 2
    assert on["source"] == "demo:"
    assert on["start_s"] < on["at_s"]
    assert [e["at_s"] for e in events] == sorted(e["at_s"] for e in events)


def test_both_engines_give_the_same_events_and_ten_runs_the_same_bits() -> None:
    arguments = ("listen", "demo:", "--format", "jsonl", "--scores", "--engine")
    runs = {engine: [edgeres(*arguments, engine) for _ in range(10)] for engine in ("litert", "onnxruntime")}
    for engine, results in runs.items():
        assert len({result.stdout for result in results}) == 1
        assert engine[:4] in results[0].stderr.decode().lower().replace(" ", "")
    # Each engine has its own file, and the integers are the same: so are the scores, to the bit.
    assert runs["litert"][0].stdout == runs["onnxruntime"][0].stdout
    scores = [line for line in lines(runs["litert"][0]) if "scores" in line]
    assert len(scores) > 250
    for values in (line["scores"].values() for line in scores):
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert all(float(np.float32(value)) == value for value in values)  # they read back to the same float


def test_both_modes_give_the_same_bits() -> None:
    arguments = ("listen", "demo:", "--format", "jsonl", "--scores", "--mode")
    step, window = (edgeres(*arguments, mode) for mode in ("step", "window"))
    assert step.stdout == window.stdout
    assert "int8 step on" in step.stderr.decode()
    assert "int8 window on" in window.stderr.decode()


def test_raw_pcm_and_files_of_any_kind_give_the_same_events(tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    floats = samples.astype(np.float32) / 32768
    soundfile.write(tmp_path / "demo.wav", samples, rate_hz)
    np.save(tmp_path / "demo.npy", floats)
    known = ("--format", "jsonl", "--rate", str(rate_hz))
    runs = [
        edgeres("listen", DEMO, "--format", "jsonl"),
        edgeres("listen", tmp_path / "demo.wav", "--format", "jsonl"),
        edgeres("listen", tmp_path / "demo.npy", *known),
        edgeres("listen", "-", *known, stdin=samples.tobytes()),
        edgeres("listen", "-", *known, "--pcm-format", "f32le", stdin=floats.astype("<f4").tobytes()),
    ]
    plain = [[{**event, "source": "", "id": ""} for event in lines(run)] for run in runs]
    assert len(plain[0]) > 10
    assert all(events == plain[0] for events in plain[1:])


def test_another_sample_rate_is_resampled_and_said(tmp_path: Path) -> None:
    import soxr

    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    soundfile.write(tmp_path / "demo.flac", soxr.resample(samples, rate_hz, 44100), 44100)
    run = edgeres("listen", tmp_path / "demo.flac", "--format", "jsonl")
    assert "resampled from 44100 Hz" in run.stderr.decode()
    expected = {(e["label"], round(e["at_s"])) for e in lines(edgeres("listen", "demo:", "--format", "jsonl"))}
    found = {(e["label"], round(e["at_s"])) for e in lines(run)}
    assert len(expected & found) >= 0.8 * len(expected)


def test_a_pipe_gets_plain_lines_and_a_summary_goes_to_stderr() -> None:
    run = edgeres("listen", "demo:", "--device", "raspberry-pi")
    assert run.returncode == 0
    told = run.stderr.decode()
    assert "\x1b" not in run.stdout.decode()
    assert "left" in run.stdout.decode()
    assert "25.7 s of audio" in told
    assert "0 samples lost" in told
    assert "int8 step on LiteRT" in told
    assert "Raspberry Pi" in told  # this machine is none, and that is said


def test_too_little_audio_for_a_decision_is_said() -> None:
    run = edgeres("listen", CLIPS / "yes-0.flac", "--format", "jsonl")
    assert lines(run) == []
    assert "1.0 s of audio, 0 hops" in run.stderr.decode()
    assert "nothing could be decided: a decision looks at 1.46 s" in run.stderr.decode()


def test_thresholds_are_the_users() -> None:
    never = edgeres("listen", "demo:", "--format", "jsonl", "--threshold", "*=1.0")
    one = edgeres("listen", "demo:", "--format", "jsonl", "--threshold", "*=1.0", "--threshold", "left=0.5")
    assert lines(never) == []
    assert {event["label"] for event in lines(one)} == {"left"}


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"set -o pipefail; {sys.executable} -m edge_res.cli listen demo: --format jsonl --scores | head -1"
    run = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
    assert run.returncode == 0
    assert len(run.stdout.splitlines()) == 1
    assert b"Error" not in run.stderr
    assert b"Traceback" not in run.stderr
    assert b"Exception" not in run.stderr


def broken_bundles(folder: Path) -> dict[str, Path]:
    """The default bundle, damaged in various ways."""
    whole = bundle_path("default").read_bytes()
    (folder / "truncated.edgeres").write_bytes(whole[: len(whole) // 2])
    (folder / "text.edgeres").write_text("hello")
    with zipfile.ZipFile(bundle_path("default")) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def write(name: str, changed: dict[str, bytes]) -> None:
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member, content in changed.items():
                archive.writestr(member, content)

    model = bytearray(members["window.tflite"])
    model[len(model) // 2] ^= 1
    write("tampered.edgeres", {**members, "window.tflite": bytes(model)})
    manifest: dict[str, Any] = json.loads(members["manifest.json"])
    write("schema.edgeres", {**members, "manifest.json": json.dumps({**manifest, "schema": 99}).encode()})
    write("lacks.edgeres", {name: content for name, content in members.items() if name != "window.tflite"})
    return {path.name: path for path in folder.iterdir()}


def test_damaged_bundles_are_refused_in_one_sentence(tmp_path: Path) -> None:
    expected = {
        "truncated.edgeres": "not a whole .edgeres bundle",
        "text.edgeres": "not a whole .edgeres bundle",
        "tampered.edgeres": "window.tflite in the bundle is not what was exported",
        "schema.edgeres": "schema 99",
        "lacks.edgeres": "lacks its file window.tflite",
    }
    for name, path in broken_bundles(tmp_path).items():
        run = edgeres("listen", "demo:", "--model", path)
        assert run.returncode == 6
        assert expected[name] in sentence(run)
    run = edgeres("listen", "demo:", "--model", tmp_path / "none.edgeres")
    assert run.returncode == 6
    assert "There is no bundle" in sentence(run)


NO_PORTAUDIO = "import ctypes.util; ctypes.util.find_library = lambda name: None"
NO_ENGINE = "import sys; sys.modules.update(dict.fromkeys(['ai_edge_litert', 'tflite_runtime', 'onnxruntime']))"


def test_mistakes_get_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is not audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.int16), 16000)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((1600, 2), np.int16), 16000)
    np.save(tmp_path / "sensor.npy", np.zeros(100, np.float32))
    nan = np.full(16000, np.nan, "<f4").tobytes()
    cases: list[tuple[tuple[str | Path, ...], bytes, str, int, str]] = [
        ((tmp_path / "none.wav",), b"", "", 3, "none.wav"),
        ((tmp_path / "text.wav",), b"", "", 3, "text.wav"),
        ((tmp_path,), b"", "", 3, str(tmp_path)),
        (("nonsense:",), b"", "", 2, "nonsense:"),
        ((tmp_path / "empty.wav",), b"", "", 5, "0 samples"),
        ((tmp_path / "stereo.wav",), b"", "", 5, "2 channels"),
        ((tmp_path / "sensor.npy",), b"", "", 2, "--rate"),
        (("-",), b"", "", 5, "0 samples"),
        (("-", "--pcm-format", "f32le"), nan, "", 5, "NaN"),
        (("-", "--channels", "2"), bytes(6400), "", 5, "2 channels"),
        (("demo:", "--threshold", "maybe=0.5"), b"", "", 2, "maybe"),
        (("demo:", "--threshold", "yes"), b"", "", 2, "LABEL=VALUE"),
        (("demo:", "--engine", "abacus"), b"", "", 2, "abacus"),
        (("demo:", "--device", "toaster"), b"", "", 2, "toaster"),
        (("demo:",), b"", NO_ENGINE, 7, "ai-edge-litert"),
        (("mic:",), b"", NO_PORTAUDIO, 4, "libportaudio2"),
    ]
    for arguments, stdin, before, code, part in cases:
        run = edgeres("listen", *arguments, "--format", "jsonl", stdin=stdin, before=before)
        assert run.returncode == code, (arguments, run.stderr.decode())
        assert part in sentence(run, warnings=4 if arguments == (tmp_path,) else 0), arguments


def test_an_unknown_option_and_a_wrong_word_do_not_trace() -> None:
    for arguments in (("listen", "--nonsense"), ("lissen",), ("listen", "demo:", "--format", "xml")):
        run = edgeres(*arguments)
        assert run.returncode == 2
        assert b"Traceback" not in run.stderr


def test_ctrl_c_ends_with_a_summary() -> None:
    import signal

    command = [sys.executable, "-m", "edge_res.cli", "listen", str(DEMO), "--realtime", "--format", "jsonl", "--scores"]
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()  # it listens
        process.send_signal(number)
        out, told = process.communicate(timeout=60)
        assert process.returncode == 0, told.decode()
        assert b"samples lost" in told
        assert b"Traceback" not in told
        assert max((json.loads(line)["at_s"] for line in out.splitlines()), default=0.0) < 20  # the demo lasts 25.7 s


def run_with(stdout: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """`edgeres` in a shell, with its stdout or stderr redirected as `stdout` says."""
    command = " ".join([sys.executable, "-m", "edge_res.cli", *map(str, arguments), stdout])
    return subprocess.run(["sh", "-c", command], capture_output=True, timeout=120, cwd=CLIPS)


WRITING = [("listen", DEMO, "--format", "jsonl"), ("listen", DEMO), ("info",), ("info", "--json"), ("verify", "--json")]


@pytest.mark.parametrize("arguments", WRITING)
def test_a_full_disk_behind_stdout_is_one_sentence(arguments: tuple[str | Path, ...]) -> None:
    result = run_with(">/dev/full", *arguments)
    told = result.stderr.decode()
    assert result.returncode == 10
    assert "stdout cannot be written: No space left on device; make room, or write elsewhere." in told
    assert "Traceback" not in told


def test_a_closed_stdout_or_stderr_is_no_fault_of_the_data() -> None:
    result = run_with(">&-", "listen", DEMO, "--format", "jsonl")
    assert result.returncode == 10
    assert result.stderr.decode().splitlines()[-1].startswith("edgeres: stdout is closed")
    result = run_with("2>&-", "listen", DEMO, "--format", "jsonl")
    assert result.returncode == 0
    assert all(line.startswith("{") for line in result.stdout.decode().splitlines())


def test_a_threshold_of_a_label_goes_before_that_of_all() -> None:
    orders = (("*=1", "yes=0.3"), ("yes=0.3", "*=1"))
    for order in orders:
        flags = [text for value in order for text in ("--threshold", value)]
        events = [e for e in lines(edgeres("listen", DEMO, "--format", "jsonl", *flags)) if e["event"] == "on"]
        assert [event["label"] for event in events] == ["yes"]


def test_a_package_that_is_missing_is_named() -> None:
    for command in (("train", CLIPS), ("export", CLIPS), ("compare", CLIPS)):
        result = edgeres(*command, before="import sys; sys.modules['torch'] = None")
        assert result.returncode == 7
        told = sentence(result)
        assert "This command requires the package " in told  # torch, or what else is not here
        assert "`pip install '.[train]'`" in told


def test_evaluate_needs_no_package_of_the_extra() -> None:
    extra = ("torch", "sklearn", "onnx", "onnxruntime", "flatbuffers", "matplotlib", "jinja2", "scipy")
    before = f"import sys; sys.modules.update(dict.fromkeys({extra!r}))"
    (told,) = lines(edgeres("evaluate", "default", CLIPS / "clips.csv", "--json", before=before))
    assert told["n"] > 10


def test_a_file_that_finds_the_disk_full_is_not_called_stdout() -> None:
    full = "import edge_res.model.bundle as b, pathlib; b.read_bundle = lambda path: pathlib.Path('/dev/full')"
    result = edgeres("info", before=full + ".write_text('x')")
    assert result.returncode == 10
    assert (
        sentence(result)
        == "stdout or a file cannot be written: No space left on device; make room, or write elsewhere."
    )


def test_too_many_threads_are_refused() -> None:
    for command in (("listen", DEMO), ("evaluate", "default", CLIPS)):
        result = edgeres(*command, "--threads", "100000")
        assert result.returncode == 2
        assert b"256" in result.stderr


def test_a_wav_file_on_stdin_is_not_played_as_samples() -> None:
    for name, kind in (("yes-0.flac", "FLAC"), (None, "WAV")):
        raw = (CLIPS / name).read_bytes() if name else b"RIFF" + bytes(4000)
        result = edgeres("listen", "-", stdin=raw)
        assert result.returncode == 3
        assert f"stdin begins as a {kind} file, and - reads raw samples" in sentence(result)
