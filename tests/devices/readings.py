"""For each device file a tree of its board, with readings where such a board has them, and what must be read from it.

Files and contents are those of Pi OS and L4T; the output of `vcgencmd pmic_read_adc` is a Raspberry Pi 5's, from
https://github.com/jfikar/RPi5-power.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_res.devices.readings import OVER_CURRENT, THROTTLED, UNDER_VOLTAGE, Flag
from edge_res.profiling.sensors import Sensed
from tests.devices.boards import hwmon, policy, program, write_file, zones

PMIC = """ 3V7_WL_SW_A current(0)=0.00000000A
   3V3_SYS_A current(1)=0.06245952A
   1V8_SYS_A current(2)=0.16102850A
  DDR_VDD2_A current(3)=0.00780744A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.32791250A
  VDD_CORE_A current(7)=10.87674000A
   3V3_DAC_A current(17)=0.00036630A
   3V3_ADC_A current(18)=0.00042735A
   0V8_AON_A current(16)=0.00579975A
      HDMI_A current(22)=0.01367520A
 3V7_WL_SW_V volt(8)=3.79999600V
   3V3_SYS_V volt(9)=3.30632200V
   1V8_SYS_V volt(10)=1.79828900V
  DDR_VDD2_V volt(11)=1.10292900V
  DDR_VDDQ_V volt(12)=0.60476130V
   1V1_SYS_V volt(13)=1.10439400V
    0V8_SW_V volt(14)=0.80256330V
  VDD_CORE_V volt(15)=0.89745940V
   3V3_DAC_V volt(20)=3.30494200V
   3V3_ADC_V volt(21)=3.30219400V
   0V8_AON_V volt(19)=0.79736190V
      HDMI_V volt(23)=5.07056000V
     EXT5V_V volt(24)=5.06788000V
      BATT_V volt(25)=3.01110800V"""
PMIC_W = 10.7999  # the sum of the twelve rails' volts times amperes


def pi(clock_mhz: int, clock: int, pmic: bool = False) -> Callable[[Path], None]:
    """The supply is too weak now, so the firmware throttles; the clock is lower than Linux set it.

    `clock` is the firmware's number for the clock, different on each processor.
    """

    def build(root: Path) -> None:
        zones(root, cpu_thermal=61.3)
        khz = 1000 * clock_mhz
        policy(root, 0, "0 1 2 3", (khz, 600000, khz, khz), "ondemand")
        hwmon(root, 1, "rpi_volt", in0_lcrit_alarm="1")
        answers = {
            "get_throttled": "throttled=0x50005",
            "measure_clock": f"frequency({clock})=600117184",
            "measure_temp": "temp=61.3'C",
        }
        program(root, **answers, **({"pmic_read_adc": PMIC} if pmic else {}))

    return build


def tegra(names: tuple[str, ...], khz: int, clusters: tuple[str, ...]) -> Callable[[Path], None]:
    """The named zones, PMIC-Die, which always reads 100 °C, and clusters of cores."""

    def build(root: Path) -> None:
        zones(root, **{name.replace("-", "_"): 40.0 + place for place, name in enumerate(names)}, PMIC_Die=100.0)
        for cores in clusters:
            policy(root, int(cores.split()[0]), cores, (khz, 115200, khz, khz), "schedutil")

    return build


def iio(place: str, **milliwatts: int) -> Callable[[Path], None]:
    """The monitor as the driver of JetPack 4 shows it."""

    def build(root: Path) -> None:
        folder = root / "sys/bus/i2c/drivers/ina3221x" / place
        for channel, (name, value) in enumerate(milliwatts.items()):
            write_file(folder / f"rail_name_{channel}", f"{name}\n")
            write_file(folder / f"in_power{channel}_input", f"{value}\n")

    return build


def ina3221(hwmon_place: int, **channels: tuple[int, int]) -> Callable[[Path], None]:
    """The monitor as Linux shows it: millivolts and milliamperes by label, and a sum that is not a rail."""

    def build(root: Path) -> None:
        values = {"in7_label": "sum of shunt voltages"}
        for channel, (name, (volts, amperes)) in enumerate(channels.items(), start=1):
            values |= {
                f"in{channel}_label": name,
                f"in{channel}_input": str(volts),
                f"curr{channel}_input": str(amperes),
            }
        hwmon(root, hwmon_place, "ina3221", **values)

    return build


def soctherm(*counts: int) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        hwmon(root, 5, "soctherm_oc", **{f"oc{place}_event_cnt": str(count) for place, count in enumerate(counts, 1)})

    return build


def cooling(state: int) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        folder = root / "sys/class/thermal"
        write_file(folder / "cooling_device0/type", "pwm-fan\n")
        write_file(folder / "cooling_device0/cur_state", "3\n")  # a running fan throttles nothing
        write_file(folder / "cooling_device1/type", "thermal-cpufreq-0\n")
        write_file(folder / "cooling_device1/cur_state", f"{state}\n")

    return build


def n100(root: Path) -> None:
    """A small PC with an Intel N100: heat slowed two of its cores; only root can read its energy counter."""
    zones(root, acpitz=27.8, x86_pkg_temp=44.0)
    hwmon(root, 2, "coretemp", temp1_input="46000")
    for core, count in enumerate((0, 3, 4, 0)):
        policy(root, core, str(core), (2900000 + 1000 * core, 700000, 3400000, 3400000), "powersave")
        folder = root / f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        write_file(folder / "core_throttle_count", f"{count}\n")
    write_file(root / "sys/class/powercap/intel-rapl:0/name", "package-0\n")


def rk3588(root: Path) -> None:
    """A ROCK 5B: four small cores and two pairs of large ones, which are hot."""
    zones(root, soc_thermal=57.3, bigcore0_thermal=60.1, littlecore_thermal=56.4, gpu_thermal=55.5)
    for cores, khz in (("0 1 2 3", 1800000), ("4 5", 2304000), ("6 7", 2304000)):
        policy(root, int(cores[0]), cores, (khz, 408000, khz, khz), "schedutil")
    cooling(1)(root)


def visionfive(root: Path) -> None:
    """A VisionFive 2, with RISC-V."""
    zones(root, cpu_thermal=48.5)
    policy(root, 0, "0 1 2 3", (1500000, 375000, 1500000, 1500000), "ondemand")


PI_FLAGS = (Flag(UNDER_VOLTAGE, True), Flag(THROTTLED, True))
ORIN_FLAGS = (Flag(UNDER_VOLTAGE, False, 2), Flag(OVER_CURRENT, False, 37))
NEW = ("cpu-thermal", "gpu-thermal", "soc0-thermal", "tj-thermal")
OLD = ("CPU-therm", "GPU-therm", "AUX-therm", "AO-therm")
WEAK = ("the supply voltage is too low", "the firmware throttles the processor")
HEAT = ("heat lowers the clock",)

Reading = tuple[tuple[Callable[[Path], None], ...], tuple[Flag, ...], Sensed]

# By device file: what builds the tree, the flags that are set, and the first reading of the sensors.
READINGS: dict[str, Reading] = {
    "generic": ((visionfive,), (), Sensed(48.5, 1500.0, (), None)),
    "generic-arm64": ((rk3588,), (Flag("hot", True),), Sensed(60.1, 2052.0, HEAT, None)),
    "generic-x86-64": ((n100,), (Flag("hot", False, 7),), Sensed(46.0, 2901.5, (), None)),
    **{
        name: ((pi(clock_mhz, clock),), PI_FLAGS, Sensed(61.3, 600.117184, WEAK, None))
        for name, clock_mhz, clock in (
            ("raspberry-pi-zero-2w", 1000, 45),
            ("raspberry-pi-3b-plus", 1400, 45),
            ("raspberry-pi-4b", 1800, 48),
            ("raspberry-pi-400", 1800, 48),
            ("raspberry-pi-cm4", 1500, 48),
            ("raspberry-pi", 1200, 45),
        )
    },
    **{
        name: ((pi(2400, 0, pmic=True),), PI_FLAGS, Sensed(61.3, 600.117184, WEAK, PMIC_W))
        for name in ("raspberry-pi-5", "raspberry-pi-500", "raspberry-pi-cm5")
    },
    "jetson-nano": (
        (
            tegra(("AO-therm", "CPU-therm", "GPU-therm", "PLL-therm"), 1479000, ("0 1 2 3",)),
            iio("6-0040/iio:device0", POM_5V_IN=2465, POM_5V_GPU=0, POM_5V_CPU=412),
            cooling(0),
        ),
        (),
        Sensed(41.0, 1479.0, (), 2.465),
    ),
    "jetson-tx2": (
        (
            tegra(("BCPU-therm", "MCPU-therm", "GPU-therm", "PLL-therm"), 2035200, ("0 3 4 5", "1 2")),
            iio("0-0040/iio:device0", VDD_SYS_GPU=152, VDD_SYS_SOC=457),
            iio("0-0041/iio:device1", VDD_IN=3014, VDD_SYS_CPU=305, VDD_SYS_DDR=593),
            cooling(2),
        ),
        (Flag("hot", True),),
        Sensed(41.0, 2035.2, HEAT, 3.014),
    ),
    "jetson-xavier-nx": (
        (
            tegra(("AUX-therm", "CPU-therm", "GPU-therm", "AO-therm"), 1907200, ("0 1", "2 3", "4 5")),
            ina3221(3, VDD_IN=(4984, 812), VDD_CPU_GPU_CV=(4976, 120), VDD_SOC=(4976, 232)),
            cooling(0),
        ),
        (),
        Sensed(41.0, 1907.2, (), 4.984 * 0.812),
    ),
    "jetson-orin-nano": (
        (
            tegra(NEW, 1510400, ("0 1 2 3", "4 5")),
            ina3221(1, VDD_IN=(4984, 1856), VDD_CPU_GPU_CV=(4976, 256), VDD_SOC=(4968, 296)),
            soctherm(2, 0, 37),
        ),
        ORIN_FLAGS,
        Sensed(40.0, 1510.4, (), 4.984 * 1.856),
    ),
    "jetson-orin-nx": (
        (
            tegra(OLD, 1984000, ("0 1 2 3", "4 5 6 7")),
            ina3221(1, VDD_IN=(5000, 2000), VDD_CPU_GPU_CV=(4976, 256), VDD_SOC=(4968, 296)),
            soctherm(2, 0, 37),
        ),
        ORIN_FLAGS,
        Sensed(40.0, 1984.0, (), 10.0),
    ),
    "jetson-agx-orin": (
        (
            tegra(NEW, 2201600, ("0 1 2 3", "4 5 6 7", "8 9 10 11")),
            ina3221(1, VDD_GPU_SOC=(20000, 200), VDD_CPU_CV=(20000, 50), VIN_SYS_5V0=(5000, 600)),
            ina3221(2, NC=(5000, 9), VDDQ_VDD2_1V8AO=(5000, 100)),
            soctherm(0, 0, 0),
            cooling(1),
        ),
        (Flag("hot", True),),
        Sensed(40.0, 2201.6, HEAT, 8.0),
    ),
    "jetson-agx-thor": (
        (
            tegra(("cpu-thermal", "tj-thermal", "soc012-thermal", "soc345-thermal"), 2601000, ("0 1", "2 3")),
            ina3221(3, VDD_GPU=(20000, 250), VDD_CPU_SOC_MSS=(20000, 300), VIN_SYS_5V0=(5000, 1000)),
            soctherm(0, 0, 0),
        ),
        (),
        Sensed(40.0, 2601.0, (), 16.0),
    ),
    "jetson": (
        (
            tegra(OLD, 2265600, ("0 1", "2 3")),
            ina3221(1, GPU=(19000, 50), CPU=(19000, 30), SOC=(19000, 70)),
            cooling(0),
        ),
        (),
        Sensed(40.0, 2265.6, (), None),  # a family's file does not know which rails add up to this board's power
    ),
}
