"""Device files: all bundled ones, and how a faulty one is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from edge_res.choices import ENGINES
from edge_res.devices import DeviceFile, known_devices, load_device
from edge_res.devices.files import Cluster, Peaks, Provider, Reads
from edge_res.errors import ConfigError

FAMILIES = ("generic", "jetson", "raspberry-pi")
WANTED = {
    *FAMILIES, "generic-arm64", "generic-x86-64",
    "raspberry-pi-zero-2w", "raspberry-pi-3b-plus", "raspberry-pi-4b", "raspberry-pi-400", "raspberry-pi-cm4",
    "raspberry-pi-5", "raspberry-pi-500", "raspberry-pi-cm5",
    "jetson-nano", "jetson-xavier-nx", "jetson-tx2", "jetson-orin-nano", "jetson-orin-nx", "jetson-agx-orin",
    "jetson-agx-thor",
}  # fmt: skip
FOLDER = Path(__file__).parents[2] / "devices"
FILE = """# a board
title = "a board"
recognised_by = ["Some Board"]
architectures = ["aarch64"]
soc = "Some SoC"
memory_gb = [0.5, 4]
engines = ["onnxruntime", "litert"]
threads = 2
affinity = [4, 5]
traps = ["as it is"]

[[clusters]]
core = "Cortex-A55"
count = 4
clock_mhz = 1800
features = ["asimd", "asimddp"]

[[clusters]]
core = "Cortex-A76"
count = 2
clock_mhz = 2400

[peaks]
clock_mhz = 2400
int8_gmacs = 76.8
fp32_gflops = 38.4
memory_gbs = 17.0

[reads]
temperature = ["soc-thermal"]
clock = "cpufreq"
throttling = ["cooling"]
power = "ina3221"
rails = ["VDD_IN"]

[[providers]]
name = "TensorrtExecutionProvider"
use = "untested"
why = "never run"
model = "window-symmetric.onnx"
options = { trt_int8_enable = true }
"""


@pytest.fixture(autouse=True)
def no_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_device(write(folder, text))
    return str(caught.value).removeprefix(f"The device file {folder / 'mine.toml'} cannot be used: ")


def test_no_file_is_missing_and_each_file_in_the_folder_is_known() -> None:
    assert set(known_devices()) == WANTED == {path.stem for path in FOLDER.glob("*.toml")}


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_file_is_complete(name: str) -> None:
    """What each file must contain; only families and generic machines may lack what differs among their devices."""
    device = load_device(name)
    assert device.name == name
    assert device.engines[0] == "litert"
    assert all(len(line) <= 120 for line in (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines())
    if name.startswith("generic"):
        return
    assert device.recognised_by
    assert device.traps
    assert device.reads.temperature  # some zones of some boards always read 100 °C
    assert device.reads.throttling
    if name in FAMILIES:
        return
    assert device.soc
    assert device.memory_gb
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    assert "Never run on this board" in text
    fastest = max(device.clusters, key=lambda cluster: cluster.clock_mhz)
    if device.peaks is None:
        assert "No [peaks]: " in text
    else:
        assert device.peaks.clock_mhz == fastest.clock_mhz
        cycle = 8 if "asimddp" not in fastest.features else 64 if "i8mm" in fastest.features else 32
        assert device.peaks.int8_gmacs == pytest.approx(cycle * fastest.clock_mhz / 1000)
    if name.startswith("jetson"):
        uses = {provider.name: provider.use for provider in device.providers}
        assert uses == {"CUDAExecutionProvider": "never", "TensorrtExecutionProvider": "untested"}
        (tensorrt,) = (provider for provider in device.providers if provider.model)
        assert tensorrt.model == "window-symmetric.onnx"
        assert tensorrt.options["trt_engine_cache_enable"] is True


def test_affinity_is_among_the_cores() -> None:
    for device in map(load_device, WANTED):
        assert all(core < sum(cluster.count for cluster in device.clusters) for core in device.affinity)


def test_a_users_own_file(tmp_path: Path) -> None:
    path = write(tmp_path, FILE)
    expected = DeviceFile(
        name="mine", title="a board", recognised_by=("Some Board",), architectures=("aarch64",), soc="Some SoC",
        memory_gb=(0.5, 4), engines=("onnxruntime", "litert"), threads=2, affinity=(4, 5), traps=("as it is",),
        clusters=(Cluster("Cortex-A55", 4, 1800, ("asimd", "asimddp")), Cluster("Cortex-A76", 2, 2400)),
        peaks=Peaks(2400, 76.8, 38.4, 17.0),
        reads=Reads(("soc-thermal",), "cpufreq", ("cooling",), "ina3221", ("VDD_IN",)),
        providers=(
            Provider(
                "TensorrtExecutionProvider", "untested", "never run", "window-symmetric.onnx", {"trt_int8_enable": True}
            ),
        ),
    )  # fmt: skip
    assert load_device(path) == load_device(str(path)) == expected


def test_every_key_is_optional(tmp_path: Path) -> None:
    assert load_device(write(tmp_path, "")) == DeviceFile("mine", "mine")
    assert DeviceFile("mine").engines == tuple(ENGINES)


def test_every_key_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs/reference/device-files.md").read_text(encoding="utf-8")
    for part in (DeviceFile, Cluster, Peaks, Reads, Provider):
        names = {field.name for field in fields(part)} - {"name"}
        assert not {name for name in names if f"`{name}`" not in documented and f"[{name}]" not in documented}


@pytest.mark.parametrize("name", ["toaster", "", "Generic", "../generic", "generic/", "\0"])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(ConfigError, match=r"There is no device .* choose one of generic.*, jetson.*, raspberry-pi"):
        load_device(name)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('recognised_by = ["Some Board"]', 'recognised_by = [""]', "line 3: "),
        ('title = "a board"', "title = 7", "line 2: the key 'title' is 7, expected a non-empty string."),
        ('title = "a board"', 'title = " "', "line 2: the key 'title' is ' ', expected a non-empty string."),
        ('["Some Board"]', '["Some Board", 3]', "line 3: the key 'recognised_by' is ['Some Board', 3], "),
        ('["Some Board"]', '[""]', "line 3: "),
        ("[0.5, 4]", "[0]", "line 6: the key 'memory_gb' is [0], expected a list of numbers above 0."),
        ("[0.5, 4]", "[nan]", "line 6: "),
        (
            '["onnxruntime", "litert"]',
            '["tensorrt"]',
            "a list with at least one of litert, tflite-runtime, onnxruntime, each at most once",
        ),
        ('["onnxruntime", "litert"]', "[]", "line 7: "),
        ('["onnxruntime", "litert"]', '["litert", "litert"]', "line 7: "),
        ('["onnxruntime", "litert"]', "[[1]]", "line 7: "),
        ("threads = 2", "threads = 0", "line 8: the key 'threads' is 0, expected a whole number from 1 to 256."),
        ("threads = 2", "threads = 257", "line 8: "),
        ("threads = 2", "threads = 1.5", "line 8: "),
        ("threads = 2", "threads = true", "line 8: "),
        ("threads = 2", '"threads" = "2"', "line 8: "),
        ("[4, 5]", "[4, 4]", "line 9: the key 'affinity' is [4, 4], expected a list of core n"),
        ("[4, 5]", "[-1]", "line 9: "),
        ('traps = ["as it is"]', 'traps = "as it is"', "line 10: "),
        ("threads = 2", "treads = 2", "line 8: unknown key 'treads'; the keys are title, recognised_by, "),
        ('core = "Cortex-A76"', "core = 76", "line 19: the key 'core' of [clusters] is 76, expected a non-empty"),
        ("count = 2\n", "", "line 18: the key 'count' of [clusters] is missing; expected a whole"),
        ("count = 4\n", "count = 0\n", "line 14: "),
        ("clock_mhz = 1800", "clock = 1800", "line 15: unknown key 'clock' of [clusters]; the keys are core, "),
        ("[[clusters]]", "[clusters]", "is not TOML"),
        ("fp32_gflops = 38.4", "fp32_gflops = 0", "line 26: the key 'fp32_gflops' of [peaks] is 0, expected a "),
        ("memory_gbs = 17.0\n", "", "line 23: the key 'memory_gbs' of [peaks] is missing; expected a number"),
        ("[peaks]", "[[peaks]]", "expected a table [peaks]."),
        ('clock = "cpufreq"', 'clock = "sundial"', "line 31: the key 'clock' of [reads] is 'sundial', expected "),
        ('["cooling"]', '["heating"]', "line 32: the key 'throttling' of [reads] is ['heating'], expected "),
        ('power = "ina3221"', 'power = "meter"', "line 33: the key 'power' of [reads] is 'meter', expected one of n"),
        ('use = "untested"', 'use = "always"', "line 38: the key 'use' of [providers] is 'always', expected "),
        ("{ trt_int8_enable = true }", "7", "line 41: the key 'options' of [providers] is 7, expected a table."),
        ("[reads]", "[writes]", "line 29: unknown key 'writes'; the keys are title, "),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_line_and_what_is_expected(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert before in FILE
    assert message in refusal(tmp_path, FILE.replace(before, after, 1))


@pytest.mark.parametrize(
    ("table", "key"), [("[[clusters]]", "core"), ("[peaks]", "clock_mhz"), ("[[providers]]", "name")]
)
def test_an_empty_table_lacks_something(tmp_path: Path, table: str, key: str) -> None:
    assert refusal(tmp_path, f"\n{table}\n").startswith(f"line 2: the key {key!r} of [{table.strip('[]')}] is missing")


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_a_line_inside_a_long_text_is_not_a_key(tmp_path: Path, quotes: str) -> None:
    text = f"title = {quotes}\nthreads = 0\n[peaks]\nclock_mhz = 0\n{quotes}\nthreads = 0\n"
    assert refusal(tmp_path, text).startswith("line 6: the key 'threads' is 0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\nreads.clock = "cpufreq"\nreads.power = "meter"', "line 3: the key 'power' of [reads] is 'meter'"),
        ('\n"reads" . "power" = 5\n', "line 2: the key 'power' of [reads] is 5"),
        ("\n# peaks = 1\npeaks = { clock_mhz = 0 }\n", "line 3: the key 'clock_mhz' of [peaks] is 0"),
        ("\nclusters = [\n    { core = 76 },\n]\n", "line 2: the key 'core' of [clusters] is 76"),
        ('\n[ reads ]  # where\n\nthrottling = [\n    "heating",\n]\n', "line 4: the key 'throttling' of [reads] is ["),
        ('\n[[providers]]\n[[providers]]\n[providers.option]\nx = 1\n', "line 2: the key 'name' of [providers] is m"),
        ("\ntitle = 1", "line 2: the key 'title' is 1"),
    ],
)  # fmt: skip
def test_the_line_of_a_key_however_it_is_written(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text).startswith(message)


@pytest.mark.parametrize("content", [b"title = ", b"\xff\xfe"])
def test_what_is_not_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not TOML"):
        load_device(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no device file"):
        load_device(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_device(tmp_path / "folder.toml")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbfthreads = 2\r\n")
    assert load_device(path).threads == 2
