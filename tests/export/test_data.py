"""Splits that nothing crosses, duplicates, and refusals."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import DataError
from edge_res.export.data import SPLITS, UNKNOWN, load, read_entries, split_csv, split_of

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
    data = load(corpus, ("yes", "no"), RATE_HZ, seed=3, validation=0.3, held=0.1)
    assert len(data.clips) == 120
    assert {clip.entry.label for clip in data.clips} == {"yes", "no", UNKNOWN}
    by_group = {(clip.entry.group, clip.split) for clip in data.clips}
    assert len(by_group) == 40
    assert {split for _, split in by_group} == set(SPLITS)
    assert len({clip.sha256 for clip in data.clips}) == 120
    assert any("5 clips whose audio" in sentence for sentence in data.left_out)
    assert any("1 _silence_" in sentence for sentence in data.left_out)


def test_noise_is_split_by_time_with_a_guard(corpus: Path) -> None:
    data = load(corpus, ("yes", "no"), RATE_HZ)
    parts = sorted((clip.start, clip.start + len(clip.samples)) for clip in data.noise)
    assert len(parts) == 3
    assert all(start - stop >= RATE_HZ for (_, stop), (start, _) in itertools.pairwise(parts))
    whole, _ = soundfile.read(corpus.parent / "noise/hum.flac", dtype="float32")
    for clip in data.noise:
        np.testing.assert_array_equal(clip.samples, whole[clip.start : clip.start + len(clip.samples)])


def test_the_split_depends_on_seed_and_group_alone(corpus: Path) -> None:
    one, two = (load(corpus, ("yes", "no"), RATE_HZ, seed=3) for _ in range(2))
    assert split_csv(one) == split_csv(two)
    assert split_csv(one) != split_csv(load(corpus, ("yes", "no"), RATE_HZ, seed=4))
    first = load(corpus, ("yes",), RATE_HZ, sets=("first",), seed=3)
    assert all(clip.split == split_of(clip.entry.group, 3, 0.18, 0.05) for clip in (*one.clips, *first.clips))


def test_a_folder_of_folders_takes_groups_from_file_names(tmp_path: Path) -> None:
    for speaker in ("ann", "bob"):
        write_clip(tmp_path / "yes" / f"{speaker}_nohash_0.wav", ord(speaker[0]))
    entries, _ = read_entries(tmp_path)
    assert [(e.label, e.group) for e in entries] == [("yes", "ann"), ("yes", "bob")]
    write_clip(tmp_path / "yes" / "recording7.wav", 7)
    with pytest.raises(DataError, match=r"recording7.wav does not tell its group .* --group-pattern"):
        read_entries(tmp_path)
    assert {e.group for e in read_entries(tmp_path, (), r"^(\w\w)")[0]} == {"an", "bo", "re"}


def test_data_that_cannot_be_used_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data at"):
        load(tmp_path / "nowhere", ("yes",), RATE_HZ)
    with pytest.raises(DataError, match=r"no clips of \['maybe'\]"):
        load(corpus, ("yes", "maybe"), RATE_HZ)
    with pytest.raises(DataError, match=r"no set \['third'\], only"):
        load(corpus, ("yes",), RATE_HZ, sets=("third",))
    with pytest.raises(DataError, match=r"validation split has fewer than two clips of \['no', 'yes'\]|fewer than two"):
        load(corpus, ("yes", "no"), RATE_HZ, validation=0.0)
    (corpus.parent / "yes/0.flac").write_text("not audio")
    with pytest.raises(DataError, match=r"0.flac cannot be read as audio"):
        load(corpus, ("yes",), RATE_HZ)
    (tmp_path / "other.csv").write_text("file,label\na.wav,yes\n")
    with pytest.raises(DataError, match=r"lacks the columns \['group'\]"):
        read_entries(tmp_path / "other.csv")
