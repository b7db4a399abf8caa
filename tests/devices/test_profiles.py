from pathlib import Path

import pytest

from edge_res.devices import ENGINES, DeviceProfile, known_profiles, load_profile
from edge_res.engines import ENGINES as RUNTIME_ENGINES
from edge_res.errors import ConfigError

GOOD = {
    "title": '"a board"',
    "recognised_by": '["Some Board"]',
    "engine": '"onnxruntime"',
    "threads": "2",
    "notes": '"as it is"',
}


def write(folder: Path, **keys: str) -> Path:
    path = folder / "mine.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in keys.items()), encoding="utf-8")
    return path


def test_every_profile_loads() -> None:
    assert known_profiles() == ("generic", "jetson", "raspberry-pi")
    for name in known_profiles():
        assert load_profile(name).name == name


def test_the_engines_are_those_of_the_runtime() -> None:
    assert set(ENGINES) == set(RUNTIME_ENGINES)


def test_only_generic_is_any_machine() -> None:
    assert [name for name in known_profiles() if not load_profile(name).recognised_by] == ["generic"]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, **GOOD)
    expected = DeviceProfile("mine", "a board", ("Some Board",), "onnxruntime", 2, "as it is")
    assert load_profile(path) == load_profile(str(path)) == expected


@pytest.mark.parametrize("name", ["toaster", "", "Generic", "../generic", "generic/", "\0"])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(ConfigError, match=r"There is no device .* known are generic, jetson, raspberry-pi"):
        load_profile(name)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("title", "7", "a text"),
        ("title", '" "', "a text"),
        ("recognised_by", '"Some Board"', "a list of texts"),
        ("recognised_by", '["Some Board", 3]', "a list of texts"),
        ("recognised_by", '[""]', "a list of texts"),
        ("engine", '"tensorrt"', "one of litert, tflite-runtime, onnxruntime"),
        ("engine", "[1]", "one of litert"),
        ("threads", "0", "from 1 to 256"),
        ("threads", "257", "from 1 to 256"),
        ("threads", "1.5", "a whole number"),
        ("threads", "true", "a whole number"),
        ("threads", '"2"', "a whole number"),
        ("notes", "[]", "a text"),
    ],
)
def test_a_wrong_value_is_quoted_with_file_key_and_what_is_allowed(
    tmp_path: Path, key: str, value: str, allowed: str
) -> None:
    path = write(tmp_path, **{**GOOD, key: value})
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    assert f"its key {key!r} is " in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, **{k: v for k, v in GOOD.items() if k != key})
    with pytest.raises(ConfigError, match=f"mine.toml cannot be used: it lacks the key '{key}'"):
        load_profile(path)


def test_an_unknown_key_is_named_with_those_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine.toml .* key 'treads', allowed are title, .*threads"):
        load_profile(write(tmp_path, **GOOD, treads="1"))


@pytest.mark.parametrize(
    ("content", "message"), [(b"title = ", "is not TOML"), (b"\xff\xfe", "is not TOML"), (b"", "lacks the key")]
)
def test_what_is_not_a_profile(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_profile(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no device file"):
        load_profile(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_profile(tmp_path / "folder.toml")
