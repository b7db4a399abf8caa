"""Commands of the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_res.cli.app import app, number
from edge_res.errors import ConfigError

_INSTALL = "Where packages are missing there: a virtual environment for the while, in a temporary folder."
_SSH = "The ssh to use, with options: 'ssh -p 2222 -i key'."
_HOST_PYTHON = "The Python to use there, such as /opt/edgeres/bin/python."

# Of `listen` and `record`.
Channel = Annotated[str | None, typer.Option(help="Of a source with more: 0, 1 …, several as 0,1, or mix, their mean.")]
PcmFormat = Annotated[Literal["s16le", "f32le"] | None, typer.Option(help="Raw PCM's; default: s16le.")]
GiveUp = Annotated[
    float | None,
    typer.Option(callback=number, min=0.0, help="Seconds without a sample, after which a live source has failed."),
]


@app.command()
def listen(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="mic:, the default one, or mic:WHICH, a part of its name, its index, the card's id, USB id or port "
            "(docs/reference/sources.md). FILE.wav/.flac/.ogg, a FOLDER of recordings, FILE.npy/.csv (sensor samples), "
            "FILE.edgerec (a recorded session), demo:, or - (raw PCM on stdin). Sensors: serial:PATH?…, udp://:PORT?…, "
            "mqtt://BROKER/TOPIC?…, iio:DEVICE?…. Several are listened to at "
            "once.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A bundle, or `default`, the one that comes along; A+B: an ensemble.")
    ] = "default",
    device: Annotated[
        str | None,
        typer.Option(help="A device of `edgeres devices --known`, or a TOML file: engines, threads and cores."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="litert, onnxruntime or tflite-runtime.")] = None,
    mode: Annotated[
        Literal["step", "window"] | None, typer.Option(help="Compute what a hop adds, or the whole window each time.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="Threads of the engine.")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE", help="Threshold of a label, or of all: *=0.8. Repeatable."),
    ] = None,
    format: Annotated[Literal["table", "jsonl"], typer.Option(help="For people, or one JSON object a line.")] = "table",
    scores: Annotated[bool, typer.Option("--scores", help="Print the scores of every hop.")] = False,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a recording at its own pace.")] = False,
    rate: Annotated[int | None, typer.Option(min=1, help="Sample rate in Hz of raw PCM, arrays or a sensor.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Channels of raw PCM, a microphone or a sensor.")] = None,
    channel: Channel = None,
    pcm_format: PcmFormat = None,
    give_up: GiveUp = None,
    health_file: Annotated[
        Path | None, typer.Option(help="A JSON file, replaced each second: state, losses and level of each source.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.edgerec", help="Record the session: samples, gaps, health, answers.")
    ] = None,
    record_frames: Annotated[
        bool, typer.Option("--record-frames", help="With --record: quantized frames as well, exact on any machine.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Play recordings again and again.")] = False,
) -> None:
    """Listen to sources and print what is heard."""
    from edge_res.commands.listen import ListenOptions, run

    run(
        ListenOptions(
            sources or ["mic:"], model, device, engine, mode, threads, threshold or [], format, scores, realtime, rate,
            channels, channel, pcm_format, give_up, health_file, record, record_frames, loop,
        )
    )  # fmt: skip


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Where clips and their manifest.csv go; `edgeres train` reads it.")],
    label: Annotated[str, typer.Option(help="What is to be heard in the clips: their folder.")],
    source: Annotated[str, typer.Argument(help="As for `listen`.")] = "mic:",
    count: Annotated[int, typer.Option(min=1, help="Clips to collect.")] = 20,
    seconds: Annotated[float, typer.Option(callback=number, min=0.01, max=3600.0, help="Of a clip.")] = 1.0,
    pause: Annotated[
        float, typer.Option(callback=number, min=0.0, max=3600.0, help="Seconds before each: the countdown.")
    ] = 2.0,
    group: Annotated[
        str | None, typer.Option(help="The speaker, session or machine; default: the user's name.")
    ] = None,
    set: Annotated[str, typer.Option(help="The set of the manifest's rows.")] = "",
    quietest: Annotated[
        float, typer.Option(callback=number, max=0.0, help="A take is silent whose peak is below, in dB of full scale.")
    ] = -45.0,
    rate: Annotated[int | None, typer.Option(min=1, help="Sample rate in Hz; default: 16000, or the device's.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Channels; default: 1 of a microphone, else all.")] = None,
    channel: Channel = None,
    pcm_format: PcmFormat = None,
    give_up: GiveUp = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a clip, on stdout.")] = False,
) -> None:
    """Collect clips of a label to train on; clipped, silent and broken takes are taken again."""
    from edge_res.commands.record import RecordOptions, run

    run(
        RecordOptions(
            folder, source, label, count, seconds, pause, group, set, quietest, rate, channels, channel, pcm_format,
            give_up, json,
        )
    )  # fmt: skip


@app.command()
def verify(
    model: Annotated[str, typer.Argument(help="A bundle, `default` or `tiny`.")] = "default",
    audio: Annotated[Path | None, typer.Option(help="Compare on this recording, not on the golden stream.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check that all engines and modes compute the same integers on this machine."""
    from edge_res.commands.verify import run

    run(model, audio, json)


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="A bundle, `default` or `tiny`.")] = "default",
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell what a bundle holds."""
    from edge_res.commands.info import run

    run(model, json)


@app.command()
def profile(
    model: Annotated[
        str, typer.Argument(metavar="[BUNDLE]", help="A bundle, `default` or `tiny`; A+B: an ensemble.")
    ] = "default",
    engine: Annotated[list[str] | None, typer.Option(help="Only this engine. Repeatable.")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="Only step, or only window. Repeatable.")] = None,
    threads: Annotated[list[int] | None, typer.Option(min=1, max=256, help="Only so many. Repeatable.")] = None,
    seconds: Annotated[
        float, typer.Option(callback=number, min=0.1, max=86400.0, help="Of the paced run of each row.")
    ] = 10.0,
    tries: Annotated[
        int, typer.Option(min=1, max=100, help="Measure a row so often at most, until two runs agree.")
    ] = 3,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    save: Annotated[bool, typer.Option("--save", help="Let `listen` follow the recommendation.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Measure nothing: compare two files that --json gave.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Compare even different bundles or hops.")] = False,
    estimate: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Measure nothing: an ESTIMATE for a device, a file, or `all`."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Stay on its cores, read its sensors; default: sensors of what is recognised.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="USER@HOST", help="Measure on that machine, over ssh; nothing is left there.")
    ] = None,
    install: Annotated[bool, typer.Option("--install", help=_INSTALL)] = False,
    ssh: Annotated[str, typer.Option(help=_SSH)] = "ssh",
    host_python: Annotated[str, typer.Option(help=_HOST_PYTHON)] = "python3",
) -> None:
    """Measure what a model costs on this device: engines, modes, threads."""
    measuring = {
        "--engine": engine, "--mode": mode, "--threads": threads, "--html": html, "--save": save, "--device": device,
        "--host": host,
    }  # fmt: skip
    refuse_beside("--compare", bool(compare), {**measuring, "--estimate": estimate})
    refuse_beside("--estimate", estimate is not None, measuring)
    if host is None and (install or (ssh, host_python) != ("ssh", "python3")):
        raise ConfigError("--install, --ssh and --host-python are about another machine; name it: --host USER@HOST.")
    if compare:
        from edge_res.profiling.tables import compare as run_compare

        return run_compare(*compare, anyway, json)
    if estimate is not None:
        from edge_res.commands.profile_estimate import run as run_estimate

        return run_estimate(model, estimate, json)
    from edge_res.commands.profile import ProfileOptions, run

    asked = ProfileOptions(model, engine or [], mode or [], threads or [], seconds, tries, json, html, save, device)
    if host is not None:
        from edge_res.commands.profile_remote import run as run_remote
        from edge_res.remote.ssh import Host

        return run_remote(asked, Host(host, ssh, host_python), install)
    run(asked)


def refuse_beside(option: str, given: bool, others: Mapping[str, object]) -> None:
    """An option that measures nothing does not take those that are about measuring."""
    for name in (name for name, value in others.items() if given and value):
        raise ConfigError(f"{option} measures nothing, and {name} would say what to measure; leave one of them out.")


@app.command()
def push(
    bundle: Annotated[str, typer.Argument(help="A bundle, `default` or `tiny`.")],
    place: Annotated[str, typer.Argument(metavar="USER@HOST:PATH", help="A file or a folder there.")],
    install: Annotated[bool, typer.Option("--install", help=_INSTALL)] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Do not run `edgeres verify` there; the hash is compared all the same.")
    ] = False,
    ssh: Annotated[str, typer.Option(help=_SSH)] = "ssh",
    host_python: Annotated[str, typer.Option(help=_HOST_PYTHON)] = "python3",
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Put a bundle on another machine, over ssh: whole, verified there, or not at all."""
    from edge_res.commands.push import run
    from edge_res.remote.ssh import Host

    run(bundle, place, Host("", ssh, host_python), install, unverified, json)


@app.command()
def devices(
    known: Annotated[bool, typer.Option("--known", help="The device files that there are.")] = False,
    device: Annotated[str | None, typer.Option(help="What the file of a device says.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell what this machine is and has: board, cores, engines, microphones, clocks, throttling, power."""
    from edge_res.commands.devices import run

    run(known, device, json)


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Find what keeps `listen` from working on this machine, and the command that mends it."""
    from edge_res.commands.doctor import run

    raise typer.Exit(run(json))


@app.command(name="profile-row", hidden=True)
def profile_row(task: str) -> None:
    """The process in which `profile` measures a row."""
    from edge_res.commands.profile import worker

    worker(task)
