"""The picture of `edgeres listen` in the README, as it ran: `python scripts/picture.py docs/listen.svg`.

The demo is played into the microphone of a private PulseAudio (tests/pulse.py), which is unplugged for a second in a
pause of the words; tmux is the terminal, and what stands on it after 16.5 seconds is drawn.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.pulse import NULL_SINK, RATE_HZ, Pluggable, Server  # noqa: E402

COLUMNS, LINES = 98, 24
UNPLUGGED_S, PLUGGED_S, DRAWN_S = 5.6, 6.6, 16.5  # of the demo


def main() -> None:
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        demo = Server(folder / "a", NULL_SINK.format("noise"))
        exits.callback(demo.stop)
        microphone = Pluggable(folder / "b", demo)
        exits.callback(microphone.stop)
        terminal = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        variables = [word for name in microphone.env for word in ("-e", f"{name}={microphone.env[name]}")]
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        shell = f"printf '$ edgeres listen\\n'; {Path(sys.executable).parent / 'edgeres'} listen; sleep 60"
        subprocess.run([*terminal, "new-session", "-d", *size, *variables, shell], check=True, cwd=ROOT)
        exits.callback(subprocess.run, [*terminal, "kill-server"])
        samples, rate_hz = soundfile.read(ROOT / "edge_res/data/demo.flac", dtype="int16")
        soundfile.write(folder / "demo.wav", np.repeat(samples, RATE_HZ // rate_hz), RATE_HZ)
        while "listening" not in _screen(terminal):
            time.sleep(0.05)
        player = subprocess.Popen(["paplay", "-d", "noise", str(folder / "demo.wav")], env=demo.env)
        exits.callback(player.kill)
        started = time.monotonic()
        for at_s, act in ((UNPLUGGED_S, microphone.unplug), (PLUGGED_S, microphone.plug), (DRAWN_S, lambda: None)):
            time.sleep(max(0.0, started + at_s - time.monotonic()))
            act()
        seen = _screen(terminal)
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(seen))
    drawn = console.export_svg(title="edgeres listen")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # the reader's own font, from no other server
    Path(sys.argv[1]).write_text(drawn, encoding="utf-8")


def _screen(terminal: list[str]) -> str:
    command = [*terminal, "capture-pane", "-p", "-e"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()


if __name__ == "__main__":
    main()
