"""Eight microphones on one core, in real time: `python scripts/several.py [SECONDS] [COUNT]`

The microphones are null sinks of a private PulseAudio (tests/pulse.py), into which noise is played all the time;
`edgeres listen mic:in0 mic:in1 …` is bound to one core. Prints what it says at its end, and the share of that core that
it took. Exit code 1 where a sample was lost, or the audio fell behind the clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.pulse import Pulse  # noqa: E402

RATE_HZ = 16000


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Pulse(folder)
        players: list[subprocess.Popen[bytes]] = []
        try:
            noise = (0.05 * np.random.default_rng(0).standard_normal(round((seconds + 30) * RATE_HZ))).astype(
                np.float32
            )
            soundfile.write(folder / "noise.wav", noise, RATE_HZ)
            with (Path(server.env["HOME"]) / ".asoundrc").open("a") as alsa:
                for i in range(count):
                    pactl(server, "load-module", "module-null-sink", f"sink_name=sink{i}", f"rate={RATE_HZ}",
                          "channels=1", "format=s16le", "norewinds=1")  # fmt: skip
                    alsa.write(
                        f'pcm.in{i} {{ type pulse device "sink{i}.monitor" hint {{ show on description "{i}" }} }}\n'
                    )
            for i in range(count):
                command = ["paplay", "-d", f"sink{i}", str(folder / "noise.wav")]
                players.append(subprocess.Popen(command, env=server.env))
            return listen(server, folder / "health.json", seconds, count)
        finally:
            for player in players:
                player.kill()
            server.stop()


def pactl(server: Pulse, *command: str) -> None:
    subprocess.run(["pactl", *command], env=server.env, check=True, stdout=subprocess.DEVNULL)


def listen(server: Pulse, health: Path, seconds: float, count: int) -> int:
    core = min(os.sched_getaffinity(0))
    sources = [f"mic:in{i}" for i in range(count)]
    command = [
        sys.executable,
        "-m",
        "edge_res.cli",
        "listen",
        *sources,
        "--format",
        "jsonl",
        "--health-file",
        str(health),
    ]
    process = subprocess.Popen(
        command, env=server.env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip
    while not (health.exists() and min(s["audio_s"] for s in json.loads(health.read_text())["sources"]) > 5):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.5)
    before, began_s, audio_s = cpu_s(process.pid), time.monotonic(), heard_s(health)
    time.sleep(seconds)
    spent_s, wall_s, audio_s = cpu_s(process.pid) - before, time.monotonic() - began_s, heard_s(health) - audio_s
    lost = sum(source["lost"] for source in json.loads(health.read_text())["sources"])
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    print(told)
    behind_s = wall_s - audio_s
    print(
        f"{count} microphones for {wall_s:.0f} s on one core: {spent_s / wall_s:.1%} of it, {lost} samples lost, "
        f"{behind_s:+.2f} s behind the clock"
    )
    return int(lost > 0 or behind_s > 2)


def cpu_s(pid: int) -> float:
    """Seconds of CPU time that a process has used (proc(5): utime and stime, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def heard_s(health: Path) -> float:
    """The audio of the source that has the least."""
    return float(min(source["audio_s"] for source in json.loads(health.read_text())["sources"]))


if __name__ == "__main__":
    sys.exit(main())
