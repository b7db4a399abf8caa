"""A bundle is read back as it was written, or refused in one sentence."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_res.errors import ModelError
from edge_res.model import bundle as module
from edge_res.model.bundle import Bundle, DecideParams, Manifest, pack_golden, read_bundle, read_golden, write_bundle
from edge_res.signal.frontend import FrontEndParams

FRONT_END = FrontEndParams(
    "log-mel", 16000, 1, 512, 480, 160, 20.0, 7600.0, 1e-6, bins=4, mean=(0.0, 1.0, 2.0, 3.0), gain=(0.5,) * 4
)
MANIFEST = Manifest(
    name="two words",
    labels=("_silence_", "ja", "nein"),
    background=("_silence_",),
    front_end=FRONT_END,
    frames=16,
    hop=8,
    delay_s=0.25,
    decide=DecideParams({"ja": 0.5, "nein": 1.0}, smooth_hops=2, release=0.5, refractory_s=1.0),
    training={"data": "none", "größe": 3},
    metrics={"accuracy": 0.5},
    network={"parameters": 3},
    tools={"numpy": "2"},
)
RANDOM = np.random.default_rng(0)
STREAM = RANDOM.integers(-128, 128, (32, 4, 1), np.int8)
LOGITS = RANDOM.integers(-128, 128, (3, 3), np.int8)
BUNDLE = Bundle(
    MANIFEST, {"golden.npz": pack_golden(STREAM, LOGITS), "window.onnx": RANDOM.bytes(300), "window.tflite": b"T" * 500}
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "x.edgeres"
    write_bundle(path, BUNDLE)
    return path.read_bytes()


def members_of(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def with_manifest(raw: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    members = members_of(raw)
    body = json.loads(members["manifest.json"])
    change(body)
    return zipped({**members, "manifest.json": json.dumps(body).encode()})


def refusal(folder: Path, raw: bytes) -> str:
    """The message that refuses these bytes."""
    path = folder / "bad.edgeres"
    path.write_bytes(raw)
    with pytest.raises(ModelError) as caught:
        read_bundle(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) < len(str(path)) + 400
    return said


def test_round_trip(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "x.edgeres"
    path.write_bytes(whole)
    read = read_bundle(str(path))
    assert read == BUNDLE
    assert read.file("window.tflite") == b"T" * 500
    stream, logits = read_golden(read)
    assert stream.tobytes() == STREAM.tobytes()
    assert logits.tobytes() == LOGITS.tobytes()


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, whole: bytes) -> None:
    turned = Bundle(MANIFEST, dict(sorted(BUNDLE.files.items(), reverse=True)))
    write_bundle(tmp_path / "a", turned)
    write_bundle(tmp_path / "b", read_bundle(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == whole


def test_a_missing_file_is_reported_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"'two words' has no step.onnx, only golden.npz, window.onnx, window.tflite"):
        BUNDLE.file("step.onnx")


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no bundle"):
        read_bundle(tmp_path / "none.edgeres")
    with pytest.raises(ModelError, match="Is a directory"):
        read_bundle(tmp_path)
    with pytest.raises(ModelError, match="null byte"):
        read_bundle("a\0b")


def test_truncated_anywhere(tmp_path: Path, whole: bytes) -> None:
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        assert "not a whole .edgeres bundle" in refusal(tmp_path, whole[:length])


@pytest.mark.parametrize("raw", [b"", b"not a zip", b"RIFF\0\0\0\0WAVEfmt ", bytes(5000)])
def test_not_a_zip(tmp_path: Path, raw: bytes) -> None:
    assert "not a whole .edgeres bundle" in refusal(tmp_path, raw)


@pytest.mark.parametrize("name", BUNDLE.files)
def test_a_file_that_was_changed_or_removed(tmp_path: Path, whole: bytes, name: str) -> None:
    members = members_of(whole)
    changed = bytes([members[name][0] ^ 1]) + members[name][1:]
    assert f"{name} in the bundle is not what was exported" in refusal(tmp_path, zipped({**members, name: changed}))
    del members[name]
    assert f"lacks its file {name}" in refusal(tmp_path, zipped(members))


def test_a_file_that_is_not_listed(tmp_path: Path, whole: bytes) -> None:
    raw = zipped({**members_of(whole), "extra.bin": b"x"})
    assert "extra.bin in the bundle is not what was exported" in refusal(tmp_path, raw)


def test_a_file_twice(tmp_path: Path, whole: bytes) -> None:
    packed = io.BytesIO(whole)
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("window.onnx", BUNDLE.files["window.onnx"])
    assert "a file appears twice" in refusal(tmp_path, packed.getvalue())


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_we_never_write(tmp_path: Path, whole: bytes, compression: int) -> None:
    assert "unknown compression" in refusal(tmp_path, zipped(members_of(whole), compression))


def test_a_bomb(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST_BYTES", 1 << 16)
    assert "too large" in refusal(tmp_path, zipped({**members_of(whole), "bomb": bytes(1 << 16)}))


@pytest.mark.parametrize("manifest", [b"", b"{", b"\xff", b"[1]", b'"schema"', b"7", b"{}", b"[" * 100_000])
def test_a_manifest_that_is_not_one(tmp_path: Path, whole: bytes, manifest: bytes) -> None:
    assert "no readable manifest.json" in refusal(tmp_path, zipped({**members_of(whole), "manifest.json": manifest}))


def test_no_manifest(tmp_path: Path, whole: bytes) -> None:
    members = {name: content for name, content in members_of(whole).items() if name != "manifest.json"}
    assert "no readable manifest.json" in refusal(tmp_path, zipped(members))


@pytest.mark.parametrize("schema", [0, 2, "1", None, True, 1.0, [1]])
def test_an_unknown_schema(tmp_path: Path, whole: bytes, schema: object) -> None:
    said = refusal(tmp_path, with_manifest(whole, lambda body: body.update(schema=schema)))
    assert f"has schema {schema!r}, but this edge_res reads schema 1; update edge_res" in said


WRONG: list[Any] = [None, True, "16", 16.5, -1, 10**400, [], [1], [[]], {}, {"ja": "0.5"}, float("nan"), float("inf")]
BODY = json.loads(MANIFEST.to_json(BUNDLE.files))
KEYS: list[tuple[str, ...]] = [(key,) for key in BODY if key != "schema"]
KEYS += [(outer, key) for outer in ("decide", "front_end") for key in BODY[outer]]


@pytest.mark.parametrize("keys", KEYS)
def test_a_key_that_is_missing_or_of_another_type(tmp_path: Path, whole: bytes, keys: tuple[str, ...]) -> None:
    *outer, key = keys

    def inner(body: dict[str, Any]) -> dict[str, Any]:
        return inner(body[outer[0]]) if outer and outer[0] in body else body

    def put(value: object) -> bytes:
        return with_manifest(whole, lambda body: inner(body).update({key: value}))

    assert key in refusal(tmp_path, with_manifest(whole, lambda body: inner(body).pop(key)))
    right = inner(BODY)[key]
    for wrong in WRONG:
        if type(wrong) is not type(right) and not (type(right) is float and wrong == -1):  # a whole number is a number
            refusal(tmp_path, put(wrong))


def test_whole_numbers_are_numbers(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "x.edgeres"
    path.write_bytes(with_manifest(whole, lambda body: body.update(delay_s=1)))
    assert read_bundle(path).manifest.delay_s == 1.0


def test_the_default_head_is_not_written_so_that_old_and_new_bundles_are_the_same(whole: bytes) -> None:
    assert "head" not in json.loads(members_of(whole)["manifest.json"])
    assert MANIFEST.head == "softmax"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": []}, "labels are empty or not unique"),
        ({"labels": ["ja", "ja", "nein", "_silence_"]}, "labels are empty or not unique"),
        ({"labels": ["_silence_", "ja", 7]}, "are of type str"),
        ({"background": ["_noise_"]}, "are not all among its labels"),
        ({"frames": 17}, "window of 17 frames is not a multiple of its hop of 8"),
        ({"hop": 0}, "hop of 0"),
        ({"hop": 32}, "hop of 32"),
        ({"delay_s": float("nan")}, "is not a time"),
        ({"decide.thresholds": {"ja": 0.5}}, "thresholds are not those of its labels"),
        ({"decide.thresholds": {"ja": 0.5, "nein": 0.5, "_silence_": 0.5}}, "thresholds are not those of its labels"),
        ({"decide.thresholds": {"ja": 0.0, "nein": 0.5}}, "not all above 0 and at most 1"),
        ({"decide.thresholds": {"ja": 1.1, "nein": 0.5}}, "not all above 0 and at most 1"),
        ({"decide.thresholds": {"ja": float("nan"), "nein": 0.5}}, "not all above 0 and at most 1"),
        ({"decide.smooth_hops": 0}, "out of range"),
        ({"decide.release": 0.0}, "out of range"),
        ({"decide.release": 1.5}, "out of range"),
        ({"decide.refractory_s": -1}, "out of range"),
        ({"decide.refractory_s": float("inf")}, "out of range"),
        ({"front_end.bins": 5}, "4 and 4 values for 5 bins"),
        ({"head": "distance"}, "its head 'distance' is unknown, expected softmax; update edge_res"),
        ({"head": None}, "'head' is None, which is not of type str"),
    ],
)
def test_an_invalid_manifest(tmp_path: Path, whole: bytes, changes: dict[str, Any], message: str) -> None:
    def change(body: dict[str, Any]) -> None:
        for key, value in changes.items():
            outer, _, inner = key.rpartition(".")
            (body[outer] if outer else body)[inner] = value

    assert message in refusal(tmp_path, with_manifest(whole, change))


@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_bytes_are_refused_or_mean_the_same(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, changes: list[tuple[int, int]]
) -> None:
    raw = bytearray(whole)
    for at, value in changes:
        raw[at % len(raw)] = value
    path = tmp_path_factory.getbasetemp() / "mutated.edgeres"
    path.write_bytes(raw)
    with suppress(ModelError):
        assert read_bundle(path) == BUNDLE


@pytest.mark.parametrize(
    "golden",
    [
        b"",
        b"text",
        BUNDLE.files["golden.npz"][:-30],
        pack_golden(STREAM[:24], LOGITS),
        pack_golden(STREAM.astype(np.uint8), LOGITS),
        zipped({"frames.npy": b"\x93NUMPY", "logits.npy": b""}),
        zipped({"frames.npy": b"", "logits.npy": b""}),
        zipped({"other.npy": b""}),
    ],
)
def test_an_invalid_golden_file(golden: bytes) -> None:
    with pytest.raises(ModelError, match=r"golden\.npz cannot be read: .*\.$"):
        read_golden(Bundle(MANIFEST, {"golden.npz": golden}))


def test_the_hashes_are_those_of_the_files(whole: bytes) -> None:
    members = members_of(whole)
    listed = json.loads(members.pop("manifest.json"))["members"]
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
