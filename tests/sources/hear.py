"""Run as a program, with the environment of a test's PulseAudio: keeps what a microphone delivers.

It prints "listening" with the first block and each change of health, and ends when the sample `LAST` has come or the
source fails.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from edge_res.errors import EdgeResError
from edge_res.flow import Health, Samples
from edge_res.sources import Wanted, mic
from edge_res.sources.mic import Microphone

LAST = 32000 / 32768


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--rate-hz", type=int, default=48000)
    parser.add_argument("--given-rate-hz", type=int)
    parser.add_argument("--channels", type=int, default=1, help="0: all that it has")
    parser.add_argument("--give-up-s", type=float)
    parser.add_argument("--reopen-s", type=float, default=mic.REOPEN_S)
    parser.add_argument("--buffer-s", type=float, default=8.0)
    parser.add_argument("--pause-s", type=float, default=0.0, help="once, with the first sample that is not 0")
    options = parser.parse_args()
    mic.REOPEN_S = options.reopen_s
    want = Wanted(
        options.rate_hz,
        options.channels or None,
        block_s=0.08,
        given_rate_hz=options.given_rate_hz,
        give_up_s=options.give_up_s,
    )
    kept: list[Samples] = []
    places: list[tuple[int, int, int]] = []
    heard = False
    try:
        with Microphone(options.source, want, buffer_s=options.buffer_s) as source:
            print(source.rate_hz, "listening" if source.name == options.source else source.name, flush=True)
            for block in source:
                if isinstance(block, Health):
                    print(block.state, block.reason, flush=True)
                    continue
                assert block.samples.dtype == np.float32
                assert block.samples.shape[1] == source.channels
                assert len(block.samples) <= 4 * want.block_length(source.rate_hz)
                if not kept and len(block.samples):
                    print("first block", flush=True)
                if not heard and block.samples.any():
                    heard = True
                    time.sleep(options.pause_s)
                kept.append(block.samples.copy())
                places.append((block.at, block.lost, len(block.samples)))
                if block.samples.size and block.samples.max() >= LAST:
                    break
    except EdgeResError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    np.savez(options.out, samples=np.concatenate(kept), places=np.array(places))
    return 0


if __name__ == "__main__":
    sys.exit(main())
