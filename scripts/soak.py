"""An hour of audio through `edgeres listen`: does its memory grow? `python scripts/soak.py [SECONDS] [OPTION ...]`

The demo recording is fed again and again as raw PCM; further arguments go to `edgeres listen`. Prints the resident
set after the first minute of audio, at the end, and the difference; exit code 1 when it is more than 1 MB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import soundfile

DEMO = Path(__file__).resolve().parent.parent / "edge_res/data/demo.flac"
LIMIT_MB = 1.0


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    command = [sys.executable, "-m", "edge_res.cli", "listen", "-", "--format", "jsonl", "--scores", *sys.argv[2:]]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    assert process.stdin
    assert process.stdout
    fed = threading.Thread(target=feed, args=(process.stdin, samples.tobytes(), round(seconds * rate_hz * 2)))
    fed.start()
    early = last = 0.0
    for hops, line in enumerate(process.stdout, 1):
        at_s = json.loads(line).get("at_s", 0.0)
        if not early and at_s >= 60:
            early = resident_mb(process.pid)
        if hops % 500 == 0:
            last = resident_mb(process.pid)
    fed.join()
    process.wait()
    print(f"{seconds:.0f} s of audio, RSS: {early:.2f} MB after a minute, {last:.2f} at the end, {last - early:+.2f}")
    sys.exit(process.returncode or int(abs(last - early) > LIMIT_MB))


def feed(pipe: object, audio: bytes, total: int) -> None:
    """Write `total` bytes of repeated audio and close."""
    while total > 0:
        total -= pipe.write(audio[:total])  # type: ignore[attr-defined]
    pipe.close()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
