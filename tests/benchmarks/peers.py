"""What an hour of audio costs, beside pymicro-wakeword, a C library with streaming int8 networks:
`python tests/benchmarks/peers.py [--seconds 3600] [--rounds 3] [--peer-python PYTHON]`.

Each is a whole process, from its start to its end: `edgeres listen` with the default model and `--format jsonl`, and
the peer with its model `okay_nabu`, fed 80 ms at a time. They run in turn, on one recording: the demo again and again,
with noise. CPU-seconds (user and system) and peak memory are the kernel's figures of each process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

DEMO = Path(__file__).resolve().parents[2] / "edge_res" / "data" / "demo.flac"
PEER = """
import sys, wave
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model
model, features = MicroWakeWord.from_builtin(Model.OKAY_NABU), MicroWakeWordFeatures()
with wave.open(sys.argv[1]) as recording:
    while samples := recording.readframes(1280):
        for frame in features.process_streaming(samples):
            model.process_streaming(frame)
"""


def write_recording(path: Path, seconds: int) -> None:
    """The demo again and again, 16-bit at its own rate, each time in other noise."""
    demo, rate_hz = soundfile.read(DEMO, dtype="float32")
    rng = np.random.default_rng(0)
    left = seconds * rate_hz
    with soundfile.SoundFile(path, "w", rate_hz, 1, "PCM_16") as file:
        while left > 0:
            part = demo[:left] + 0.003 * rng.standard_normal(len(demo[:left])).astype(np.float32)
            file.write(part)
            left -= len(part)


def cost(command: list[str]) -> tuple[float, float]:
    """CPU-seconds and peak resident megabytes of a process."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        told = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(told)
    return used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss / 1e6  # in KiB, getrusage(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3600, help="of audio")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable, help="an interpreter that has pymicro-wakeword")
    asked = parser.parse_args()
    has_peer = subprocess.run([asked.peer_python, "-c", "import pymicro_wakeword"], capture_output=True).returncode == 0
    if not has_peer:
        print(f"pymicro-wakeword is not installed for {asked.peer_python}: only edgeres is measured")
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "recording.wav"
        write_recording(recording, asked.seconds)
        commands = {"edgeres": [sys.executable, "-m", "edge_res.cli", "listen", str(recording), "--format", "jsonl"]}
        if has_peer:
            commands["pymicro-wakeword"] = [asked.peer_python, "-c", PEER, str(recording)]
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(asked.rounds):
            for name, command in commands.items():
                costs[name].append(cost(command))
    for name, found in costs.items():
        cpu_s = [cpu for cpu, _ in found]
        print(
            f"{name}: {median(cpu_s):.2f} CPU-seconds for {asked.seconds} s of audio "
            f"({min(cpu_s):.2f} to {max(cpu_s):.2f}), at most {max(peak for _, peak in found):.0f} MB"
        )
    if has_peer:
        ratios = [ours / theirs for (ours, _), (theirs, _) in zip(*costs.values(), strict=True)]
        print(f"ratio: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
