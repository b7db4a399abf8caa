#!/usr/bin/env python3
"""A quarter of a core and 512 MB: does `listen` keep real time there, and does `profile` report the share truthfully?

    sudo python scripts/small_device.py

Makes a control group of version 1 or 2, as root, runs the command line in it and removes it. The share that `profile`
reports is held against what the kernel accounts to the group while `listen` hears a recording at its own pace.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CORES, MEMORY = 0.25, 512 << 20
PERIOD_US = 100_000
TOP = Path("/sys/fs/cgroup")
NAME = f"edgeres-small-{os.getpid()}"
RATE_HZ = 16_000
SETTLING_S, HEARD_S = 8, 40
COMMAND = [sys.executable, "-m", "edge_res.cli"]


@dataclass(frozen=True)
class Group:
    """A control group's folders, and where it tells what it has used."""

    folders: tuple[Path, ...]
    limits: dict[Path, str]
    usage: Path

    def __enter__(self) -> Group:
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        for path, value in self.limits.items():
            path.write_text(value)
        return self

    def __exit__(self, *exception: object) -> None:
        for folder in self.folders:
            folder.rmdir()

    def enter(self) -> None:
        """In a new process: become a member."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")

    def used_s(self) -> float:
        text = self.usage.read_text()
        found = re.search(r"usage_usec (\d+)", text)
        return int(found[1]) / 1e6 if found else int(text) / 1e9

    def stopped(self) -> int:
        for folder in self.folders:
            found = (
                re.search(r"nr_throttled (\d+)", (folder / "cpu.stat").read_text()) if "cpu" in str(folder) else None
            )
            if found:
                return int(found[1])
        return 0


def make_group() -> Group:
    if (TOP / "cgroup.controllers").exists():
        folder = TOP / NAME
        limits = {folder / "cpu.max": f"{int(CORES * PERIOD_US)} {PERIOD_US}", folder / "memory.max": str(MEMORY)}
        (TOP / "cgroup.subtree_control").write_text("+cpu +memory")
        return Group((folder,), limits, folder / "cpu.stat")
    cpu, account, memory = (TOP / controller / NAME for controller in ("cpu", "cpuacct", "memory"))
    limits = {
        cpu / "cpu.cfs_period_us": str(PERIOD_US),
        cpu / "cpu.cfs_quota_us": str(int(CORES * PERIOD_US)),
        memory / "memory.limit_in_bytes": str(MEMORY),
    }
    return Group((cpu, account, memory), limits, account / "cpuacct.usage")


def edgeres(group: Group, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """Run the command line in the group: what it said, seconds it took, seconds of processor time."""
    command = [*COMMAND, *arguments]
    used_s, started_s = group.used_s(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=group.enter)
    wall_s = time.monotonic() - started_s
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr}")
    return done, wall_s, group.used_s() - used_s


def share_of_listen(group: Group, path: str) -> float:
    """Processor time over time while `listen` hears a recording at its pace, by the kernel's account; no start-up."""
    command = [*COMMAND, "listen", path, "--rate", str(RATE_HZ), "--realtime", "--format", "jsonl"]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=nowhere, stderr=nowhere, preexec_fn=group.enter) as process:
        time.sleep(SETTLING_S)
        used_s, started_s = group.used_s(), time.monotonic()
        time.sleep(HEARD_S)
        share = (group.used_s() - used_s) / (time.monotonic() - started_s)
        process.kill()
    return share


def recording(folder: str, seconds: int) -> str:
    """Noise at -20 dB, in the form that costs least to read."""
    path = f"{folder}/{seconds}.npy"
    np.save(path, np.random.default_rng(0).uniform(-0.17, 0.17, seconds * RATE_HZ).astype(np.float32))
    return path


def told(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1].removeprefix("edgeres: ")


def main(arguments: Sequence[str]) -> None:
    with make_group() as group, tempfile.TemporaryDirectory() as folder:
        print(f"a control group of {CORES:.0%} of a core and {MEMORY >> 20} MB: {group.folders[0]}")
        done, wall_s, _ = edgeres(group, "listen", "demo:", "--format", "jsonl", "--realtime")
        print(f"listen demo: --realtime: {told(done)}; {wall_s:.1f} s in all, {len(done.stdout.splitlines())} lines")
        done, wall_s, cpu_s = edgeres(group, "listen", "demo:", "--format", "jsonl")
        print(f"listen demo: as fast as it goes: {told(done)}; {wall_s:.1f} s in all, {cpu_s:.2f} s of processor time")
        truth = share_of_listen(group, recording(folder, SETTLING_S + HEARD_S + 10))
        one = ("--engine", "litert", "--mode", "step", "--threads", "1", "--seconds", "30", "--tries", "1", "--json")
        done, wall_s, _ = edgeres(group, "profile", *one, *arguments)
        report = json.loads(done.stdout)
        (row,) = report["rows"]
        print(f"profile sees the limits {report['device']['limits']}")
        for name in ("paced", "unpaced"):
            phase = row[name]
            print(
                f"profile, {name}: p50 {phase['p50_us']:.0f} µs, p99 {phase['p99_us']:.0f}, max {phase['max_us']:.0f}, "
                f"{phase['misses']} of {phase['hops']} missed, {phase['cpu_share']:.3%} of a core: "
                f"{phase['verdict']}: {phase['why']}"
            )
        share = row["cpu_share"]
        print(
            f"share of a core: profile {share:.3%}, listen by the kernel's account {truth:.3%}, "
            f"{share / truth - 1:+.0%} apart"
        )
        print(f"the quota stopped the group {group.stopped()} times; RSS {row['rss_bytes'] / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
