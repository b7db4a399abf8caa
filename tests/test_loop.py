"""The loop as a whole, with the default model: splits, gaps, statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from edge_res.engines import load_engine
from edge_res.errors import SignalError, SourceError
from edge_res.flow import Block, Event, Gap, Health, Samples, Scores
from edge_res.loop import Stream, listen
from edge_res.model.bundle import Bundle, read_bundle
from edge_res.model.ensemble import Chain
from edge_res.model.models import load_model
from edge_res.signal.resample import Resampler
from edge_res.sinks import Sink
from edge_res.stats import Stats
from tests.edgeres import CLIPS, DEMO


class Played:
    """A source that delivers given samples in given pieces, with gaps where they are asked for."""

    def __init__(
        self, samples: Samples, sizes: list[int], rate_hz: int = 16000, lost: dict[int, int] | None = None
    ) -> None:
        self.name = "played"
        self.unit = ""
        self.rate_hz = rate_hz
        self.channels = samples.shape[1]
        self._samples = samples
        self._sizes = sizes
        self._lost = lost or {}

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[Block]:
        at = taken = i = 0
        while taken < len(self._samples):
            lost = self._lost.get(i, 0)
            at += lost
            piece = self._samples[taken : taken + self._sizes[i % len(self._sizes)]]
            yield Block(self.name, at, piece, lost)
            at += len(piece)
            taken += len(piece)
            i += 1


class Kept(Sink):
    """A sink that keeps all it is given."""

    def __init__(self) -> None:
        self.scores: list[Scores] = []
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.told: list[Health] = []
        self.blocks = 0

    def block(self, block: Block, stats: Stats) -> None:
        self.blocks += 1

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        self.scores.append(Scores(scores.at_s, scores.values.copy()))

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def health(self, health: Health) -> None:
        self.told.append(health)


@dataclass(frozen=True)
class Heard:
    at_s: list[float]
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    sink: Kept
    stats: Stats


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle("default")


@pytest.fixture(scope="module")
def demo() -> Samples:
    samples, _ = soundfile.read(DEMO, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples)


def hear(bundle: Bundle, source: Played, engine: str = "litert", mode: str = "step") -> Heard:
    manifest = bundle.manifest
    sink = Kept()
    model = load_model(bundle, load_engine(engine), mode)
    stream = Stream(source, [Chain(manifest, model)], manifest.decide)
    listen([stream], [source], sink)
    return Heard([s.at_s for s in sink.scores], np.array([s.values for s in sink.scores]), sink, stream.stats)


@pytest.mark.parametrize("rate_hz", [16000, 44100], ids=["as-is", "resampled"])
def test_scores_do_not_depend_on_how_the_audio_is_split(bundle: Bundle, demo: Samples, rate_hz: int) -> None:
    samples = demo[: 12 * 16000]
    whole = hear(bundle, Played(samples, [160000], rate_hz))
    assert len(whole.values) > 20
    uneven = np.random.default_rng(0).integers(1, 4000, 500).tolist()
    for sizes in ([1], [7], [160], [1280], [1281], uneven):
        split = hear(bundle, Played(samples, sizes, rate_hz))
        assert split.at_s == whole.at_s
        np.testing.assert_array_equal(split.values, whole.values)


@pytest.mark.parametrize("engine", ["litert", "onnxruntime"])
def test_step_and_window_give_the_same_scores_also_behind_a_gap(bundle: Bundle, demo: Samples, engine: str) -> None:
    step, window = (hear(bundle, Played(demo, [1600], lost={70: 999}), engine, mode) for mode in ("step", "window"))
    assert step.at_s == window.at_s
    np.testing.assert_array_equal(step.values, window.values)
    assert step.sink.events == window.sink.events


def test_the_first_score_comes_after_exactly_one_window(bundle: Bundle, demo: Samples) -> None:
    manifest = bundle.manifest
    enough = manifest.front_end.samples_of(manifest.frames)
    assert not hear(bundle, Played(demo[: enough - 1], [160])).at_s
    assert hear(bundle, Played(demo[:enough], [160])).at_s == [enough / 16000]


def test_a_gap_is_told_and_what_follows_is_as_if_it_were_new(bundle: Bundle, demo: Samples) -> None:
    sizes, cut, lost = [1600], 50, 12345
    gapped = hear(bundle, Played(demo, sizes, lost={cut: lost}))
    before, behind = hear(bundle, Played(demo[: cut * 1600], sizes)), hear(bundle, Played(demo[cut * 1600 :], sizes))
    np.testing.assert_array_equal(gapped.values, np.concatenate([before.values, behind.values]))
    shift = (cut * 1600 + lost) / 16000
    np.testing.assert_allclose(gapped.at_s, before.at_s + [at + shift for at in behind.at_s], atol=2e-6)
    assert gapped.sink.gaps == [Gap(lost, lost / 16000, shift, "played")]
    assert gapped.stats.lost == lost
    assert gapped.stats.audio_s == pytest.approx((len(demo) + lost) / 16000)
    on = [event for event in gapped.sink.events if event.event == "on"]
    assert len(on) == gapped.stats.events / 2  # each is closed


def test_a_label_that_is_on_at_a_gap_goes_off_there(bundle: Bundle, demo: Samples) -> None:
    whole = hear(bundle, Played(demo, [1280]))
    first = next(event for event in whole.sink.events if event.event == "on")
    cut = round(first.at_s * 16000 / 1280) + 1
    gapped = hear(bundle, Played(demo, [1280], lost={cut: 1280}))
    (on, off) = gapped.sink.events[:2]
    assert (on.label, off.label, off.event) == (first.label, first.label, "off")
    assert off.at_s <= gapped.sink.gaps[0].at_s


def test_the_clips_are_heard_in_faint_noise(bundle: Bundle) -> None:
    rng = np.random.default_rng(0)
    paths = sorted(path for path in CLIPS.glob("*.flac") if not path.name.startswith("unknown"))
    right = 0
    for path in paths:
        clip, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        audio = rng.normal(0, 1e-3, (3 * rate_hz, 1)).astype(np.float32)
        audio[rate_hz : rate_hz + len(clip)] += clip
        heard = hear(bundle, Played(audio, [1280], rate_hz))
        right += {event.label for event in heard.sink.events} == {path.name.split("-")[0]}
    assert right >= 0.7 * len(paths)


@pytest.mark.parametrize("failure", [SourceError("gone."), KeyboardInterrupt()])
def test_what_is_on_goes_off_when_the_source_fails_or_the_user_ends_it(
    bundle: Bundle, demo: Samples, failure: BaseException
) -> None:
    whole = hear(bundle, Played(demo, [1280]))
    first = next(event for event in whole.sink.events if event.event == "on")

    class Failing(Played):
        def __iter__(self) -> Iterator[Block]:
            for block in super().__iter__():
                if block.at > (first.at_s + 0.1) * 16000:
                    raise failure
                yield block

    manifest, sink = bundle.manifest, Kept()
    source = Failing(demo, [1280])
    stream = Stream(source, [Chain(manifest, load_model(bundle, load_engine("litert")))], manifest.decide)
    with pytest.raises(type(failure)):
        listen([stream], [source], sink)
    assert [(event.event, event.label) for event in sink.events] == [("on", first.label), ("off", first.label)]


def test_what_is_on_goes_off_when_the_source_is_lost_not_when_it_is_back(bundle: Bundle, demo: Samples) -> None:
    whole = hear(bundle, Played(demo, [1280]))
    first = next(event for event in whole.sink.events if event.event == "on")

    class Lost(Played):
        def __iter__(self) -> Iterator[Block | Health]:  # type: ignore[override]
            for block in super().__iter__():
                if block.at > (first.at_s + 0.1) * 16000:
                    yield Health(self.name, "recovering", "it has stopped", first.at_s)
                    assert [event.event for event in sink.events] == ["on", "off"]
                    yield block
                    break
                yield block

    manifest, sink = bundle.manifest, Kept()
    source = Lost(demo, [1280])
    stream = Stream(source, [Chain(manifest, load_model(bundle, load_engine("litert")))], manifest.decide)
    listen([stream], [source], sink)
    assert [event.label for event in sink.events] == [first.label, first.label]


def test_digital_silence_is_silence(bundle: Bundle) -> None:
    heard = hear(bundle, Played(np.zeros((10 * 16000, 1), np.float32), [1280]))
    assert not heard.sink.events
    assert len(heard.at_s) > 100


def test_wrong_channels_are_refused(bundle: Bundle, demo: Samples) -> None:
    with pytest.raises(SignalError, match="played has 2 channels and the model 'default' listens to 1"):
        hear(bundle, Played(np.repeat(demo, 2, axis=1), [1280]))


def test_statistics_stay_small_and_true() -> None:
    stats = Stats()
    for spent_us in range(1, 1001):
        stats.work(spent_us * 1000, 1)
    assert stats.hops == 1000
    assert stats.mean_us == pytest.approx(500.5)
    assert stats.percentile_us(99) == pytest.approx(990, rel=0.03)
    assert stats.percentile_us(50) == pytest.approx(500, rel=0.03)
    assert Stats().percentile_us(99) == 0


def test_the_summary_tells_what_went_wrong() -> None:
    stats = Stats()
    assert str(stats) == "0.0 s of audio, 0 hops, 0 events, 0 samples lost"
    stats.lost, stats.gaps = 160, 1
    for state in ("alarmed", "recovering", "healthy", "alarmed", "healthy", "recovering"):
        stats.changed(Health("mic:", state, "", 0.0))
    assert str(stats) == (
        "0.0 s of audio, 0 hops, 0 events, 160 samples lost in 1 gap, interrupted 3 times, recovering at the end"
    )


def test_the_work_of_blocks_that_complete_no_hop_is_counted() -> None:
    stats = Stats()
    stats.work(3000, 0)
    stats.work(4000, 0)
    stats.work(5000, 1)
    assert stats.last_hop_us == 12
    stats.work(1000, 1)
    assert (stats.last_hop_us, stats.mean_us) == (1, 6.5)


def test_the_time_of_a_hop_is_that_of_all_its_blocks_and_of_resampling(
    bundle: Bundle, demo: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [0]
    push = Resampler.push

    def slow(self: Resampler, samples: Samples) -> Samples:
        now_ns[0] += 5000
        return push(self, samples)

    monkeypatch.setattr(Resampler, "push", slow)
    monkeypatch.setattr("edge_res.loop.perf_counter_ns", lambda: now_ns[0])
    manifest = bundle.manifest
    hop = manifest.hop * manifest.front_end.hop_length
    heard = hear(bundle, Played(demo[: 40 * hop], [hop // 8]))
    assert heard.stats.last_hop_us == 8 * 5
    assert heard.stats.percentile_us(10) == pytest.approx(8 * 5, rel=0.03)
    assert heard.stats.percentile_us(100) == pytest.approx(8 * 5, rel=0.03)  # what filled the window is no hop's


def test_sinks_are_given_every_block(bundle: Bundle, demo: Samples) -> None:
    heard = hear(bundle, Played(demo[:32000], [160]))
    assert heard.sink.blocks == 200
    assert len(heard.sink.scores) < 20
