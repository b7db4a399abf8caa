"""The ways in which devices tell of themselves, as a device file calls them; the readers tell what each is."""

CPUFREQ, FIRMWARE = CLOCK_WAYS = ("cpufreq", "vcgencmd")
INA3221, PMIC, RAPL = POWER_WAYS = ("ina3221", "pmic", "rapl")
THROTTLING_WAYS = ("get_throttled", "rpi_volt", "soctherm_oc", "cooling", "thermal_throttle")
