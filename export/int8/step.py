"""From a graph that computes a window to one that computes what a hop adds, and gives the same integers.

The window is cut out of an endless stream: column j of a tensor in the window that begins at hop p is column
`p * new + j` of that tensor's stream, where `new` columns of it come with each hop. So whatever an operation computed
for earlier windows need not be computed again; it must only have kept the columns of its input that it will read again.

For each tensor, from the input on, two numbers say where its stream stands after t hops: it has come to column
`new * t - lag` (exclusive). For its column j an operation reads `kernel` columns of its input from
`advance * j + offset` on: `advance` is its stride, and a crop of the window is an offset and nothing else. So it can
have come to

    new_out * t - lag_out,    lag_out = max over inputs of ceil((lag_in + offset + kernel) / advance) - 1,

and to go on it needs the last `advance * lag_out - lag_in - offset` columns that its input had before this hop: its
history. A tensor keeps the longest history that one of its readers needs, as a state; all its readers share it. An
operation that makes one column per window (a mean over time, what follows it) is needed once a hop: there `advance` is
the input's `new`.

An operation whose results nobody reads yet may as well compute them later: a projection shortcut is computed when the
other branch has come as far, from columns that are kept anyway, instead of being kept itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_res.errors import ExportError
from edge_res.export.int8.graph import Concat, Crop, Graph, Op, Tensor
from edge_res.export.int8.sums import identity


@dataclass(frozen=True)
class Flow:
    """How a tensor streams: `new` columns per hop, `lag` columns behind where it would be without any kernel."""

    tensor: Tensor
    new: int
    lag: int


@dataclass(frozen=True)
class Read:
    """What an operation reads in a step: `columns` of `source`, beginning `history` before the new ones."""

    source: str
    history: int
    columns: int


@dataclass(frozen=True)
class Plan:
    """`flows` by tensor, `reads` by operation; `hops` until the first score."""

    flows: dict[str, Flow]
    reads: dict[str, tuple[Read, ...]]
    hops: int

    def history(self, tensor: str) -> int:
        """Columns of a tensor that its readers need again in the next hop."""
        return max([0, *(r.history for r in self.reads_of(tensor))])

    def reads_of(self, tensor: str) -> list[Read]:
        return [r for reads in self.reads.values() for r in reads if r.source == tensor]

    @property
    def cost(self) -> tuple[int, int]:
        """Values in all states, and how many states there are."""
        held = [(self.history(name), flow.tensor.shape) for name, flow in self.flows.items()]
        return sum(n * bins * channels for n, (_, bins, channels) in held), sum(n > 0 for n, _ in held)


def plan(graph: Graph, hop: int) -> Plan:
    """How each tensor of a window graph streams when `hop` frames come at a time.

    Raises `ExportError` if network, window and hop do not fit each other.
    """
    refuse_misfit(graph, hop)
    graph = with_computed_end(graph)
    hops = graph.input.shape[0] // hop
    # The logits wait for the last columns of the window even if these are never read.
    delays = {graph.ops[-1].name: hops - plan_with(graph, hop, {}).hops}
    best = plan_with(graph, hop, delays)
    for op in reversed(graph.ops):
        if op.name in best.reads:
            new = best.flows[op.output.name].new
            early = min([new + r.history - r.columns for r in best.reads_of(op.output.name)], default=0)
            if early > 0:
                later = plan_with(graph, hop, {**delays, op.name: early})
                if later.hops == best.hops and later.cost < best.cost:
                    delays[op.name], best = early, later
    return best


def plan_with(graph: Graph, hop: int, delays: Mapping[str, int]) -> Plan:
    """The plan in which some operations lag by more columns, `delays`."""
    flows = {graph.input.name: Flow(graph.input, hop, 0)}
    crops = {graph.input.name: (graph.input.name, 0)}  # each tensor as another one from an offset on
    reads: dict[str, tuple[Read, ...]] = {}
    for op in graph.ops:
        sources = [crops[tensor.name] for tensor in op.inputs]
        if isinstance(op, Crop):
            ((name, offset),) = sources
            crops[op.output.name] = (name, offset + op.start)
            continue
        inputs = [flows[name] for name, _ in sources]
        once = op.output.shape[0] == 1
        advances = [flow.new if once else op.time_stride for flow in inputs]
        (new,) = {1 if once else flow.new // op.time_stride for flow in inputs}
        offsets = [offset + op.kernel_frames for _, offset in sources]
        lag = max(-(-(f.lag + o) // a) - 1 for f, o, a in zip(inputs, offsets, advances, strict=True))
        lag += delays.get(op.name, 0)
        reads[op.name] = tuple(
            Read(name, advance * lag - flow.lag - offset, (new - 1) * op.time_stride + op.kernel_frames)
            for (name, offset), flow, advance in zip(sources, inputs, advances, strict=True)
        )
        flows[op.output.name] = Flow(op.output, new, lag)
        crops[op.output.name] = (op.output.name, 0)
    return Plan(flows, reads, flows[graph.output.name].lag + 1)


def step_graph(graph: Graph, hop: int) -> Graph:
    """The graph that takes `hop` frames and the states, and gives the logits of the window that ends with them.

    Its states are columns of the window graph's tensors. At first they may hold anything: the logits are valid from hop
    `frames / hop` on. Raises as `plan` does.
    """
    graph = with_computed_end(graph)
    streams = plan(graph, hop)
    assert streams.hops * hop == graph.input.shape[0]  # the first score comes after exactly one window
    states, nexts = [], []
    ops: list[Op] = []
    joined: dict[str, Tensor] = {}

    def join(tensor: Tensor, new: int) -> None:
        """Put the state of a tensor before its new columns, and keep their end as the next state."""
        history = streams.history(tensor.name)
        if history <= 0:
            joined[tensor.name] = tensor
            return
        state = columns_of(tensor, f"state.{tensor.name}", history)
        both = columns_of(tensor, f"{tensor.name}.joined", history + new)
        after = columns_of(tensor, f"next.{tensor.name}", history)
        ops.append(Concat(f"{tensor.name}.join", (state, tensor), both))
        ops.append(Crop(f"{tensor.name}.keep", both, after, new, new + history))
        joined[tensor.name] = both
        states.append(state)
        nexts.append(after)

    def read(what: Read) -> Tensor:
        """The columns that an operation reads, cut out unless they are the whole tensor."""
        whole = joined[what.source]
        start = streams.history(what.source) - what.history
        if (start, what.columns) == (0, whole.shape[0]):
            return whole
        part = columns_of(whole, f"{whole.name}.{start}.{what.columns}", what.columns)
        if not any(op.output == part for op in ops):
            ops.append(Crop(f"{part.name}.cut", whole, part, start, start + what.columns))
        return part

    source = columns_of(graph.input, graph.input.name, hop)
    join(source, hop)
    for op in graph.ops:
        if op.name in streams.reads:
            flow = streams.flows[op.output.name]
            output = columns_of(op.output, op.output.name, flow.new)
            ops.append(with_tensors(op, [read(what) for what in streams.reads[op.name]], output))
            join(output, flow.new)
    return Graph((source, *states), tuple(ops), (ops[-1].output, *nexts))


def with_computed_end(graph: Graph) -> Graph:
    """The graph; if it ends with a crop, with an operation after it that computes the same."""
    last = graph.ops[-1]
    if not isinstance(last, Crop):
        return graph
    same = identity(last.output, f"{last.name}.same")
    return replace(graph, ops=(*graph.ops, same), outputs=(same.output,))


def columns_of(tensor: Tensor, name: str, columns: int) -> Tensor:
    """The tensor with another name and number of columns."""
    return replace(tensor, name=name, shape=(columns, *tensor.shape[1:]))


def with_tensors(op: Op, inputs: Sequence[Tensor], output: Tensor) -> Op:
    """The operation on other tensors of the same quantization."""
    if hasattr(op, "input"):
        return replace(op, input=inputs[0], output=output)  # type: ignore[type-var]
    return replace(op, inputs=tuple(inputs), output=output)  # type: ignore[type-var]


def time_stride(graph: Graph) -> int:
    """Frames between two columns of the coarsest tensor that is computed along time."""
    return max([1, *(graph.spans[op.output.name].stride for op in graph.ops if op.output.shape[0] > 1)])


def receptive_field(graph: Graph) -> int:
    """The most frames that one column sees, before an operation that sees all columns at once."""
    field = 1
    for op in graph.ops:
        if op.output.shape[:2] == (1, 1) and op.kernel_frames == op.inputs[0].shape[0] > 1:
            break
        field = max(field, graph.spans[op.output.name].frames)
    return field


def nearest(wanted: int, step: int, least: int = 1) -> str:
    """The multiples of `step` next to `wanted`, from `least` on, for a sentence."""
    first = -(-least // step) * step
    below = max(first, wanted // step * step)
    above = below + step
    return f"{below} and {above}" if below <= wanted else f"{below}"


def refuse_part_hop(frames: int, hop: int) -> None:
    """Raise `ExportError`, with the nearest hops that fit, if a window is not a whole number of hops."""
    if hop < 1 or frames % hop:
        parts = [part for part in range(1, frames + 1) if frames % part == 0]
        near = [*[part for part in parts if part < hop][-1:], *[part for part in parts if part > hop][:1]]
        raise ExportError(
            f"A window of {frames} frames cannot be divided into hops of {hop}; the nearest hops that fit are "
            f"{' and '.join(map(str, near))}."
        )


def refuse_misfit(graph: Graph, hop: int) -> None:
    """Raise `ExportError`, with the nearest that fit, if window or hop do not fit the step model."""
    if graph.window_only:
        raise ExportError(f"The network has no step model: {graph.window_only}.")
    frames, stride, field = graph.input.shape[0], time_stride(graph), receptive_field(graph)
    if hop < 1 or hop % stride:
        raise ExportError(
            f"A hop of {hop} frames does not fit the network, whose columns are {stride} frames apart; the nearest "
            f"hops that fit are {nearest(hop, stride)}."
        )
    if frames % hop:
        raise ExportError(
            f"A window of {frames} frames cannot be divided into hops of {hop}; the nearest windows that fit this "
            f"network (receptive field {field}, time stride {stride}) are {nearest(frames, hop, field)} frames."
        )
