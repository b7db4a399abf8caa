"""Splits that nothing crosses, duplicates, and refusals."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.clips.manifest import UNKNOWN, Entry, read_entries
from edge_res.clips.recordings import LeftOut, packed, read_recordings, summarize_left_out, unpacked
from edge_res.clips.splits import SPLITS, Splits
from edge_res.errors import DataError
from edge_res.export.datasets.dataset import left_out_csv, load, split_csv

RATE_HZ = 16000


def write_clip(path: Path, seed: int, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE_HZ))
    soundfile.write(path, noise.astype(np.int16), RATE_HZ)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three words by forty speakers in two sets, a recording of noise, silence cut from it, copies."""
    rows = ["file,set,label,group"]
    for i, label in enumerate(("yes", "no", "cat")):
        for speaker in range(40):
            file = f"{label}/{speaker}.flac"
            write_clip(tmp_path / file, 100 * i + speaker)
            rows.append(f"{file},{'first' if speaker % 2 else 'second'},{label},s{speaker}")
    for number in range(5):  # the same audio once more, in another container and by another name
        write_clip(tmp_path / f"copies/{number}.wav", number)
        rows.append(f"copies/{number}.wav,second,yes,s{number}")
    write_clip(tmp_path / "noise/hum.flac", 999, seconds=40)
    rows.append("noise/hum.flac,first,noise,hum")
    write_clip(tmp_path / "silence/0.flac", 998)
    rows.append("silence/0.flac,first,_silence_,hum")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "manifest.csv"


def test_a_group_is_in_one_split_across_sets_and_audio_is_used_once(corpus: Path) -> None:
    data = load(corpus, ("yes", "no"), RATE_HZ, seed=3, splits=Splits(validation=0.3, held=0.1))
    assert len(data.clips) == 120
    assert {clip.entry.label for clip in data.clips} == {"yes", "no", UNKNOWN}
    by_group = {(clip.entry.group, clip.split) for clip in data.clips}
    assert len(by_group) == 40
    assert {split for _, split in by_group} == set(SPLITS)
    assert len({clip.sha256 for clip in data.clips}) == 120
    assert [one.path.name for one in data.left_out] == [f"{i}.wav" for i in range(5)]
    assert summarize_left_out(data.left_out) == ["5 clips (same audio as another clip): 0.wav, 1.wav, 2.wav and 2 more"]
    assert data.notes == ("1 _silence_ clips are not used: silence is made from the noise recordings, split by time",)


def test_noise_is_split_by_time_with_a_guard(corpus: Path) -> None:
    data = load(corpus, ("yes", "no"), RATE_HZ)
    parts = sorted((clip.start, clip.start + len(clip.samples)) for clip in data.noise)
    assert len(parts) == 3
    assert all(start - stop >= RATE_HZ for (_, stop), (start, _) in itertools.pairwise(parts))
    whole, _ = soundfile.read(corpus.parent / "noise/hum.flac", dtype="float32")
    for clip in data.noise:
        np.testing.assert_array_equal(clip.samples[:, 0], whole[clip.start : clip.start + len(clip.samples)])


def test_the_split_depends_on_seed_and_group_alone(corpus: Path) -> None:
    one, two = (load(corpus, ("yes", "no"), RATE_HZ, seed=3) for _ in range(2))
    assert split_csv(one) == split_csv(two)
    assert split_csv(one) != split_csv(load(corpus, ("yes", "no"), RATE_HZ, seed=4))
    first = load(corpus, ("yes",), RATE_HZ, sets=("first",), seed=3)
    assert all(clip.split == Splits().split_of(clip.entry.group, 3) for clip in (*one.clips, *first.clips))


def test_a_folder_of_folders_takes_groups_from_file_names(tmp_path: Path) -> None:
    for speaker in ("ann", "bob"):
        write_clip(tmp_path / "yes" / f"{speaker}_nohash_0.wav", ord(speaker[0]))
    entries, _ = read_entries(tmp_path)
    assert [(e.label, e.group) for e in entries] == [("yes", "ann"), ("yes", "bob")]
    write_clip(tmp_path / "noise" / "hum.wav", 8)  # which is split by time
    assert [e.group for e in read_entries(tmp_path)[0]] == ["", "ann", "bob"]
    (tmp_path / "noise" / "hum.wav").unlink()
    write_clip(tmp_path / "yes" / "recording7.wav", 7)
    with pytest.raises(DataError, match=r"recording7.wav has no group in its name .* --group-pattern"):
        read_entries(tmp_path)
    assert {e.group for e in read_entries(tmp_path, (), r"^(\w\w)")[0]} == {"an", "bo", "re"}


def test_data_that_cannot_be_used_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data at"):
        load(tmp_path / "nowhere", ("yes",), RATE_HZ)
    with pytest.raises(DataError, match=r"no clips of \['maybe'\]"):
        load(corpus, ("yes", "maybe"), RATE_HZ)
    with pytest.raises(DataError, match=r"no set \['third'\], only"):
        load(corpus, ("yes",), RATE_HZ, sets=("third",))
    with pytest.raises(DataError, match=r"validation clips have none of \['yes', 'no'\]"):
        load(corpus, ("yes", "no"), RATE_HZ, seed=0, splits=Splits(validation_groups="nobody"))
    (tmp_path / "hollow" / "yes").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no clips in .*hollow; expected one folder per label, with .flac"):
        read_entries(tmp_path / "hollow")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,group\na.wav,yes\n", r"lacks the columns \['label'\]"),
        ("file,label,group\n", "has no rows, expected one per clip"),
        ("file,label,group,start_s\na.wav,yes,a,nan\n", "Line 2 of .* has start_s='nan', expected a number"),
        ("file,label,group,rate_hz\na.npy,yes,a,0\n", "Line 2 of .* has rate_hz='0', expected samples per second"),
    ],
)
def test_an_invalid_manifest_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_entries(tmp_path / "other.csv")


def manifest(folder: Path, *rows: str, columns: str = "file,label,group") -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join((columns, *rows)) + "\n")
    return path


@pytest.fixture
def two_labels(tmp_path: Path) -> list[str]:
    """Rows of two labels by six groups each."""
    rows = []
    for label in ("hum", "rattle"):
        for group in range(6):
            write_clip(tmp_path / f"{label}-{group}.wav", 10 * group + len(label))
            rows.append(f"{label}-{group}.wav,{label},g{group}")
    return rows


BY_GROUP = Splits(validation_groups="^g[45]$")


def test_named_groups_are_the_validation(tmp_path: Path, two_labels: list[str]) -> None:
    data = load(manifest(tmp_path, *two_labels), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)
    assert {clip.entry.group for clip in data.of("validation")[0]} == {"g4", "g5"}
    assert {clip.entry.group for clip in data.of("train")[0]} == {"g0", "g1", "g2", "g3"}
    assert not data.same_session


def test_files_that_cannot_be_used_are_named_and_left_out(tmp_path: Path, two_labels: list[str]) -> None:
    square = np.where(np.arange(8000) // 20 % 2, 32767, -32768).astype(np.int16)
    soundfile.write(tmp_path / "loud.wav", square, RATE_HZ)
    soundfile.write(tmp_path / "quiet.wav", np.zeros(8000, np.int16), RATE_HZ)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.int16), RATE_HZ)
    np.save(tmp_path / "holes.npy", np.full(8000, np.nan, np.float32))
    (tmp_path / "text.wav").write_text("not audio")
    bad = [f"{name},hum,g0" for name in ("loud.wav", "quiet.wav", "empty.wav", "holes.npy", "text.wav")]
    data = load(manifest(tmp_path, *two_labels, *bad), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)
    assert len(data.clips) == 12
    assert summarize_left_out(data.left_out) == [
        "1 clip (clipped): loud.wav",
        "2 clips (empty or silent): quiet.wav, empty.wav",
        "1 clip (not finite): holes.npy",
        "1 clip (cannot be read as audio: Format not recognised): text.wav",
    ]
    assert left_out_csv(data.left_out).splitlines()[:2] == ["file,why", "loud.wav,clipped"]
    assert len(left_out_csv(data.left_out).splitlines()) == 6
    with pytest.raises(DataError, match=r"None of the 5 clips can be used: 1 clip \(clipped\): loud.wav; 2 cl"):
        load(manifest(tmp_path, *bad), ("hum",), RATE_HZ, splits=BY_GROUP)


def test_one_clip_or_one_group_is_refused(tmp_path: Path, two_labels: list[str]) -> None:
    alone = [row for row in two_labels if not row.startswith("hum") or row.startswith("hum-0")]
    with pytest.raises(DataError, match=r"fewer than two usable clips of \['hum'\]"):
        load(manifest(tmp_path, *alone), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)
    one_group = [row.rsplit(",", 1)[0] + ",machine" for row in two_labels]
    with pytest.raises(DataError, match=r"All clips in .* are of one group, 'machine'.* --split time"):
        load(manifest(tmp_path, *one_group), ("hum", "rattle"), RATE_HZ)


def test_windows_of_one_recording_never_cross(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.wav", 1, seconds=20)
    rows = [f"long.wav,{'hum' if i % 2 else 'rattle'},g{i},{2 * i},{2 * i + 1.5}" for i in range(8)]
    columns = "file,label,group,start_s,end_s"
    with pytest.raises(DataError, match=r"Windows of one recording would be in both train and validation: .*long.wav"):
        load(manifest(tmp_path, *rows, columns=columns), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)

    by_time = Splits(by_time=("*",), validation=0.4, guard_s=0.5)
    data = load(manifest(tmp_path, *rows, columns=columns), ("hum", "rattle"), RATE_HZ, splits=by_time)
    assert data.same_session == ("hum", "rattle")
    whole = soundfile.read(tmp_path / "long.wav", dtype="float32")[0]
    for clip in data.clips:
        np.testing.assert_array_equal(clip.samples[:, 0], whole[clip.start : clip.start + len(clip.samples)])
    last = max(clip.start + len(clip.samples) for clip in data.of("train")[0])
    first = min(clip.start for clip in data.of("validation")[0])
    assert first - last >= 0.5 * RATE_HZ
    assert {clip.entry.label for clip in data.of("validation")[0]} == {"hum", "rattle"}


def test_intervals_outside_the_recording_are_left_out_by_name(tmp_path: Path, two_labels: list[str]) -> None:
    rows = [f"{row},," for row in two_labels] + ["hum-0.wav,hum,g0,0.2,9"]
    path = manifest(tmp_path, *rows, columns="file,label,group,start_s,end_s")
    data = load(path, ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)
    assert data.left_out == (LeftOut(tmp_path / "hum-0.wav", "lasts 0.50 s, the manifest names 0.2 to 9.0 s"),)
    for wrong, sentence in (("2,1", "the end must come after the start"), ("x,1", "start_s='x', expected a number")):
        with pytest.raises(DataError, match=sentence):
            read_entries(manifest(tmp_path, f"a.wav,hum,g0,{wrong}", columns="file,label,group,start_s,end_s"))


def test_arrays_rates_and_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for group in range(4):
        np.save(tmp_path / f"{group}.npy", rng.normal(0, 3, (5, 200, 3)).astype(np.float32))
        np.save(tmp_path / f"slow-{group}.npy", rng.normal(0, 3, (100, 3)))
        rows += [f"{group}.npy,shake,g{group},200", f"slow-{group}.npy,still,g{group},100"]
    path = manifest(tmp_path, *rows, columns="file,label,group,rate_hz")
    data = load(path, ("shake", "still"), 200, channels=3, splits=Splits(validation_groups="g3"))
    shapes = {(clip.entry.label, clip.samples.shape) for clip in data.clips}
    assert shapes == {("shake", (200, 3)), ("still", (200, 3))}
    assert len(data.clips) == 4 * 5 + 4
    assert data.notes == ("4 of 24 clips were resampled from 100 to 200 Hz",)
    with pytest.raises(DataError, match=r"None of the 8 clips can be used: .*3 channels, the front-end takes 2"):
        load(path, ("shake", "still"), 200, channels=2, splits=Splits(validation_groups="g3"))
    mixed = load(path, ("shake", "still"), 200, splits=Splits(validation_groups="g3"))
    assert {clip.samples.shape[1] for clip in mixed.clips} == {1}
    assert "24 of 24 clips have 3 channels, which were mixed to 1" in mixed.notes
    unrated = manifest(tmp_path, *(row.rsplit(",", 1)[0] for row in rows))
    taken = load(unrated, ("shake", "still"), 200, channels=3, splits=Splits(validation_groups="g3"))
    assert taken.notes == ("24 .npy clips have no rate and were read as 200 Hz; give it in the column rate_hz",)


def test_clips_of_one_session_are_split_in_their_order(tmp_path: Path) -> None:
    """As `edgeres record` makes them: by one speaker, each too short to be cut in two."""
    for i in range(20):
        for label in ("yes", "no"):
            write_clip(tmp_path / label / f"{i:03}.wav", 100 * i + len(label))
    with pytest.raises(DataError, match="if all clips are from one session, pass --split time"):
        load(tmp_path, ("no", "yes"), RATE_HZ)
    data = load(tmp_path, ("no", "yes"), RATE_HZ, splits=Splits(by_time=("*",), validation=0.2))
    assert data.same_session == ("no", "yes")
    for label in ("no", "yes"):
        names = {split: [c.entry.path.stem for c in data.of(split)[0] if c.entry.label == label] for split in SPLITS}
        assert names == {
            "train": [f"{i:03}" for i in range(15)], "validation": ["016", "017", "018", "019"], "held": []
        }  # fmt: skip


def test_silence_without_noise_recordings_is_the_background(tmp_path: Path, two_labels: list[str]) -> None:
    for group in range(6):
        write_clip(tmp_path / f"still-{group}.wav", 500 + group)
    still = [f"still-{group}.wav,_silence_,g{group}" for group in range(6)]
    data = load(manifest(tmp_path, *two_labels, *still), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)
    assert {clip.entry.label for clip in data.clips} == {"hum", "rattle"}
    assert [(clip.split, len(clip)) for clip in data.noise] == [("train", 4 * 8000), ("validation", 2 * 8000)]
    assert data.notes == ("6 _silence_ clips are used as background",)
    last = soundfile.read(tmp_path / "still-5.wav", dtype="float32")[0]
    np.testing.assert_array_equal(data.of("validation")[1][0].samples[8000:, 0], last)


def test_short_recordings_of_noise_are_split_as_one(tmp_path: Path, two_labels: list[str]) -> None:
    for i in range(20):
        write_clip(tmp_path / f"wind-{i}.wav", 700 + i, seconds=3)
    wind = [f"wind-{i}.wav,noise,wind" for i in range(20)]
    data = load(manifest(tmp_path, *two_labels, *wind), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)
    lengths = {clip.split: len(clip) / RATE_HZ for clip in data.noise}
    assert lengths == pytest.approx({"train": 42 - 1.5, "validation": 10.8 - 1.5, "held": 7.2 - 1.5}, abs=0.01)
    with pytest.raises(DataError, match=r"None of the noise recordings can be used: 1 clip \(too short"):
        load(manifest(tmp_path, *two_labels, wind[0]), ("hum", "rattle"), RATE_HZ, splits=BY_GROUP)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".npy"])
def test_of_a_long_recording_only_the_part_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"long{suffix}"
    whole = np.random.default_rng(0).integers(-3000, 3000, (50_000, 2)).astype(np.int16)
    if suffix == ".npy":
        np.save(path, whole / np.float32(32768))
    else:
        soundfile.write(path, whole, 8000)
    found = read_recordings(Entry(path, "", "hum", "", 1.5, 4.25, 8000), 8000, 2)
    np.testing.assert_array_equal(found.samples[0] * 32768, whole[12_000:34_000])
    rest = read_recordings(Entry(path, "", "hum", "", 6.0, None, 8000), 8000, 2)
    np.testing.assert_array_equal(rest.samples[0] * 32768, whole[48_000:])


def test_sound_of_16_bits_is_kept_in_16_bits_and_nothing_else_is() -> None:
    every = np.divide(np.arange(-32768, 32768)[:, None], 32768, dtype=np.float32)
    kept = packed(every)
    assert kept.dtype == np.int16
    np.testing.assert_array_equal(unpacked(kept), every)
    assert unpacked(kept).dtype == np.float32
    for other in ((every + 1e-6).astype(np.float32), np.ones((4, 1), np.float32), np.zeros((1 << 19, 1), np.float32)):
        assert packed(other) is other
        assert unpacked(other) is other
