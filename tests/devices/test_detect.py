"""Which device a machine is, tried on trees with the texts of real boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.devices import describe_mismatch, detect, find_device, known_devices, load_device
from edge_res.devices.files import devices_of_family, left_out, usable
from edge_res.errors import ConfigError
from tests.devices.boards import BOARDS, OTHERS, device_tree, write

EACH = [(name, board) for name, boards in BOARDS.items() for board in boards]
IN_FAMILIES = [(name, board) for name, board in EACH if name not in ("jetson", "raspberry-pi")]


@pytest.fixture(autouse=True)
def no_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def family_of(name: str) -> str:
    return next(family for family in ("jetson", "raspberry-pi") if name.startswith(family))


def test_no_device_file_is_without_a_real_board() -> None:
    assert set(BOARDS) | {"generic", "generic-arm64", "generic-x86-64"} == set(known_devices())


@pytest.mark.parametrize(("name", "board"), EACH)
def test_a_board_is_recognised_as_itself_and_nothing_else(tmp_path: Path, name: str, board: tuple[str, str]) -> None:
    root = device_tree(tmp_path, *board)
    assert detect(root).name == name
    recognised = {other for other in BOARDS if describe_mismatch(load_device(other), root) is None}
    assert recognised == {name, family_of(name)}
    assert find_device("generic", root, "aarch64")[0].name == "generic-arm64"


@pytest.mark.parametrize(("name", "board"), IN_FAMILIES)
def test_a_family_resolves_to_the_device_and_reports_it(tmp_path: Path, name: str, board: tuple[str, str]) -> None:
    device, sentence = find_device(family_of(name), device_tree(tmp_path, *board))
    assert device.name == name
    assert sentence == f"this is {device.title}: device {name}"
    assert find_device(name, tmp_path) == (device, None)


@pytest.mark.parametrize("name", ["jetson", "raspberry-pi"])
def test_a_board_without_a_file_gets_the_general_settings_of_its_family(tmp_path: Path, name: str) -> None:
    ((model, compatible),) = BOARDS[name]
    device, sentence = find_device(name, device_tree(tmp_path, model, compatible))
    assert device.name == name
    assert sentence == f"no device file describes {model!r}; using the general {name} settings"


@pytest.mark.parametrize("board", OTHERS)
@pytest.mark.parametrize("name", BOARDS)
def test_another_board_is_reported_in_one_sentence(tmp_path: Path, name: str, board: tuple[str, str]) -> None:
    root = device_tree(tmp_path, *board)
    device, sentence = find_device(name, root)
    assert device.name == name
    assert sentence is not None
    assert sentence.startswith(f"This machine is not recognised as {device.title}: its device tree says {board[0]!r};")
    assert f"using the {name} settings anyway, " in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence
    assert "\0" not in sentence
    assert detect(root, "aarch64").name == "generic-arm64"


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "generic-x86-64"), ("aarch64", "generic-arm64")])
def test_a_machine_without_names_is_generic(tmp_path: Path, machine: str, name: str) -> None:
    assert detect(tmp_path, machine).name == name
    assert find_device("generic", tmp_path, machine) == (load_device(name), None)
    sentence = find_device("jetson", tmp_path, machine)[1]
    assert sentence is not None
    assert "it has no device tree" in sentence


def test_an_architecture_without_a_file_gets_the_family(tmp_path: Path) -> None:
    assert detect(tmp_path, "riscv64").name == "generic"
    assert find_device("generic", tmp_path, "riscv64") == (load_device("generic"), None)


def test_the_compatible_alone_is_enough(tmp_path: Path) -> None:
    """The maker of a carrier board may put its own name into the model."""
    root = device_tree(tmp_path, "Our Gateway", "maker,gateway\0raspberrypi,4-compute-module\0brcm,bcm2711")
    assert detect(root).name == "raspberry-pi-cm4"


@pytest.mark.parametrize(("name", "modules"), [("jetson-orin-nx", "012"), ("jetson-orin-nano", "345")])
def test_each_orin_module_of_the_bindings_of_linux_is_known(tmp_path: Path, name: str, modules: str) -> None:
    """Documentation/devicetree/bindings/arm/tegra.yaml."""
    for number in modules:
        root = device_tree(tmp_path / number, "a carrier of ours", f"nvidia,p3767-000{number}\0nvidia,tegra234")
        assert detect(root).name == name


def test_dmi_names_a_board_without_a_device_tree(tmp_path: Path) -> None:
    """With UEFI's ACPI tables instead of a device tree, a Jetson is named by DMI."""
    names = {"sys_vendor": "NVIDIA\n", "product_name": "NVIDIA Jetson AGX Orin Developer Kit\n"}
    write(tmp_path, **{f"sys__class__dmi__id__{name}": value for name, value in names.items()})
    assert detect(tmp_path).name == "jetson-agx-orin"
    sentence = describe_mismatch(load_device("raspberry-pi-5"), tmp_path)
    assert sentence is not None
    assert "it is 'NVIDIA NVIDIA Jetson AGX Orin Developer Kit'" in sentence


def test_a_users_own_file_comes_first(tmp_path: Path) -> None:
    root = device_tree(tmp_path, *BOARDS["raspberry-pi-cm4"][0])
    own = tmp_path / "config/edgeres/devices/gateway.toml"
    own.parent.mkdir(parents=True)
    own.write_text('title = "our gateway"\nrecognised_by = ["Compute Module 4"]\nthreads = 2\n')
    assert detect(root).name == "gateway"
    assert find_device("gateway", root) == (load_device(own), None)
    (own.parent / "jetson-nano.toml").write_text("threads = 3\n")
    assert load_device("jetson-nano").threads == 3
    (own.parent / "jetson-nano.toml").write_text("treads = 3\n")
    with pytest.raises(ConfigError, match="unknown key 'treads'"):
        load_device("jetson-nano")


def test_a_users_own_file_in_a_family_comes_first_by_name_and_by_family(tmp_path: Path) -> None:
    root = device_tree(tmp_path, *BOARDS["raspberry-pi-5"][0])
    own = tmp_path / "config/edgeres/devices/raspberry-pi-mine.toml"
    own.parent.mkdir(parents=True)
    own.write_text('recognised_by = ["raspberrypi,5-model-b"]\n')
    assert detect(root).name == find_device("raspberry-pi", root)[0].name == "raspberry-pi-mine"


def test_a_users_own_file_that_is_faulty_is_ignored_and_reported(tmp_path: Path) -> None:
    root = device_tree(tmp_path, *BOARDS["raspberry-pi-5"][0])
    own = tmp_path / "config/edgeres/devices"
    own.mkdir(parents=True)
    (own / "raspberry-pi-5a.toml").write_text('recognised_by = ["raspberrypi,5-model-b"]\ntreads = 2\n')
    (own / "generic-gone.toml").symlink_to(tmp_path / "nowhere")
    assert detect(root).name == find_device("raspberry-pi", root)[0].name == "raspberry-pi-5"
    assert detect(Path("/nowhere"), "x86_64").name == "generic-x86-64"
    (sentence,) = left_out(devices_of_family("raspberry-pi"))
    assert "raspberry-pi-5a.toml cannot be used: line 2: unknown key 'treads'" in sentence
    assert sentence.endswith(" It is ignored.")
    assert len(left_out(known_devices())) == 2
    assert {device.name for device in usable(known_devices())} == set(known_devices()) - {
        "raspberry-pi-5a", "generic-gone",
    }  # fmt: skip
