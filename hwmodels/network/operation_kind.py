"""What an operation kind is: everything that the program knows of it, in one record, and the registry of them.

The kinds that come with the program are in `hwmodels.network.operations`, one file each. Graph, interpreter, memory
plan, streaming, stripes, costs, code generation and file writers look a kind up here; none of them names one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.basics.registry import Registry
from hwmodels.network.c_records import CRecord

if TYPE_CHECKING:
    from hwmodels.network.graph import Op
    from hwmodels.network.integer_model import HeadSettings, IntegerParameters, Quantization

PartInStripes = Literal["pointwise", "over time", "channelwise over time", "residual"]
STEP_BYTES = 24
"""Flash that an operation's entry in the table of steps takes."""


class UnsupportedOpError(InputError):
    """An operation no kernel serves; names it."""


class FastFormError(InputError):
    """A precondition of a fast kernel that these parameters break; the message is the reason."""


@dataclass(frozen=True)
class KernelVariant:
    """A way to compute an operation: `name` keys the look-up table, `function` is the C symbol.

    `helpers` are the functions that it links besides.
    """

    name: str
    function: str
    helpers: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True)
class Operands:
    """What the constants of one operation are made of.

    `grids` are those of what it reads, then of what it makes, which a head has none of. `parameters` and `head`
    are there for kinds that have some.
    """

    grids: tuple[Quantization, ...]
    parameters: IntegerParameters | None = None
    head: HeadSettings | None = None


class TFLiteWriter(Protocol):
    """A TFLite file in the making, as kinds see it."""

    def operator(self, code: str, inputs: list[int], output: int, options: str, **fields: Any) -> None:
        """Add an operator between tensors given by number; fields of its options table by name."""

    def weighted(self, op: Op, source: int, output: int) -> None:
        """Add a convolution with its weights, biases and padding."""


class ONNXWriter(Protocol):
    """An ONNX graph in the making, as kinds see it; values are real, or in the exact file whole steps of a grid."""

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""

    def weighted(self, op: Op, source: str) -> str:
        """Add a convolution with its weights and biases."""

    def mean(self, op: Op, source: str) -> str:
        """Add the mean of each of `length_out` segments."""

    def total(self, op: Op, operands: Sequence[str]) -> str:
        """Add the sum of two tensors."""


class OperationKind:
    """One kind of operation. Subclasses say what differs from an operation that keeps its shape and has no weights.

    Attributes are facts of the kind, methods answer for one operation of it and are pure. Arrays are NumPy's,
    tensors (windows, length, channels).
    """

    name: str
    """What `Op.kind` says."""
    fan_in: int = 1
    """Tensors that an operation reads."""
    only_as: str = ""
    """Where only a subclass of Op may be of this kind, what a plain one is refused with."""
    has_taps = False
    """Whether kernel, stride and dilation may differ from 1."""
    keeps_channels = True
    is_channelwise = False
    """Whether, of an operation with weights, each output channel reads one input channel alone."""
    is_head = False
    """Whether it ends a graph and writes a result of three integers instead of a tensor."""
    keeps_grid = False
    """Whether the output lies on the grid of the input, as pooling's does."""
    pools = False
    """Whether it takes many positions together."""
    is_elementwise = False
    """Whether each output element follows from operands' elements of the same place alone."""
    keeps_input_in_scratch = False
    """Whether its kernels with scratch read all of some channels before they write any output of theirs."""
    spans_windows = False
    """Whether it keeps what it read of earlier windows; networks with such read whole windows, in turn."""
    forgets: str = ""
    """Of a kind that keeps something between executions, the C function that starts all such operations afresh."""
    head_settings: type | None = None
    """Of a head, the settings that it needs."""
    largest_bias: int | None = None
    """Of a kind with weights, what its kernels can hold, in steps of the accumulator."""
    largest_operand_ratio: float | None = None
    """What an operand's scale may be of the output's, for training to keep to."""
    slow_cycles_per_mac: float | None = None
    """Cycles a MAC above which a layer counts as one that no kernel is made for."""
    kernels: tuple[KernelVariant, ...] = ()
    """The C functions that serve it, the exact one last if there is one that serves any scales."""

    # Shapes

    def complaint(self, op: Op) -> str:
        """What is wrong with the operation's shape, "" where nothing is."""
        return "" if op.length_in == op.length_out else "must keep its length"

    def macs(self, op: Op) -> int:
        """Multiply-accumulates of one execution (the additions of sums and pooling are not MACs)."""
        return op.length_out * op.weight_count

    def weight_shape(self, op: Op) -> tuple[int, ...]:
        """The layout of its integer weights; () without weights."""
        return ()

    def state_bytes(self, op: Op) -> int:
        """Bytes that it keeps from one execution to the next."""
        return 0

    # State, of kinds that keep something between executions

    def initial_state(self, op: Op, grid: Quantization, streams: int) -> NDArray[np.int8]:
        """What it keeps before the first execution, (streams, ...), oldest first; `grid` is its output's."""
        raise InputError(f"op {op.name!r} ({op.kind}): keeps nothing")

    def step(
        self, op: Op, x: NDArray[np.int8], state: NDArray[np.int8], given: Operands
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """The output for one execution x (streams, length, channels) after `state`, and the state after it."""
        raise InputError(f"op {op.name!r} ({op.kind}): keeps nothing")

    def state_image(self, op: Op, state: NDArray[np.int8]) -> bytes:
        """The `state_bytes` in which C keeps the state of one stream."""
        return state.tobytes()

    def in_turn(self, op: Op, x: NDArray[np.int8], past: NDArray[np.integer], given: Operands) -> NDArray[np.int8]:
        """The outputs for successive executions x (n, length, channels), of a kind that spans windows.

        past: (n,), how many rows directly before each are those of the executions before it.
        """
        raise InputError(f"op {op.name!r} ({op.kind}): cannot run over many steps at once")

    # Arithmetic

    def compute(self, op: Op, operands: Sequence[NDArray[np.int8]], given: Operands) -> NDArray:
        """The output, int8 (windows, length_out, channels_out), or a head's int32 (windows, 3)."""
        raise InputError(f"op {op.name!r} ({op.kind}): needs parameters or a head's settings")

    def real(self, op: Op, operands: Sequence[Any]) -> Any:
        """The output in floating point, without activation, of a kind without weights.

        Operands are torch tensors (windows, channels, 1, length); only their methods are called.
        """
        raise InputError(f"op {op.name!r} ({op.kind}): has no arithmetic in floating point")

    def require_fast(self, grids: Sequence[Quantization]) -> None:
        """Raise FastFormError where scales alone rule the fast kernel out; `grids` as in `Operands`."""

    # Kernels

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """Kernels that compute it, the fastest first; the last one asks nothing of its scales.

        Raises UnsupportedOpError.
        """
        return self.kernels

    def scratch_bytes(self, op: Op) -> int:
        """Arena bytes that the fastest kernel works in beyond its tensors; a multiple of 4."""
        return 0

    def data_bytes(self, op: Op) -> int:
        """Flash for its constants with the fastest kernel, the step included; a multiple of 4."""
        return STEP_BYTES + self.record_bytes(op)

    def record_bytes(self, op: Op) -> int:
        """Of `data_bytes`, those of the record that its kernel is given."""
        raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): no kernel serves it")

    def exact_data_bytes(self, op: Op) -> int:
        """As `data_bytes`, with the exact kernel."""
        return self.data_bytes(op)

    def code_units(self, op: Op) -> frozenset[str]:
        """C functions that are linked for it, shared between operations."""
        fastest = self.variants(op)[0]
        return fastest.helpers | {fastest.function}

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """The record that `variant` is called with, and all that it points to. Raises FastFormError."""
        raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): no kernel serves it")

    def sources(self) -> Mapping[str, str]:
        """C files of a kind from outside of the package, file name to text."""
        return {}

    def kernel_gap(self, op: Op) -> str:
        """Why the kernels made for most shapes do not serve this one, "" where they do."""
        return ""

    # Streaming and stripes

    def rows_per_output(self, op: Op) -> int | None:
        """Input rows from one output to the next, None where it cannot run on a part of a window."""
        return None

    def reads_whole_window(self, op: Op) -> bool:
        """Whether it makes one row of all rows of a window, so that a step needs those of the steps before."""
        return self.pools and op.length_out == 1

    def over(self, op: Op, length: int) -> Op:
        """The operation over an input of `length` rows."""
        return replace(op, length_in=length, length_out=-(-length // op.stride))

    def part_in_stripes(self, op: Op) -> PartInStripes | None:
        """What it may be in a block that runs in stripes (hwmodels.schedule.stripes)."""
        return None

    # Model files

    def write_tflite(self, writer: TFLiteWriter, op: Op, operands: list[int], output: int) -> None:
        """Add it to a TFLite file. Raises InputError where there is no such operator."""
        raise InputError(
            f"--format tflite: op {op.name!r} ({op.kind}): no operator of TFLite's stands for it; export c"
        )

    def write_onnx(self, writer: ONNXWriter, op: Op, operands: Sequence[str]) -> str:
        """Add it to an ONNX graph; returns the name of its output. Raises InputError as `write_tflite` does."""
        raise InputError(f"--format onnx: op {op.name!r} ({op.kind}): no ONNX operator stands for it; export c")

    # Examples, for tests and for the conformance suite

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """A random operation of any shape that the kind takes, None where one is not drawn at once.

        `variant` may ask for one that suits a kernel.
        """
        return None

    def example_grid(self, op: Op, sources: Sequence[Quantization], rng: np.random.Generator) -> Quantization | None:
        """A grid of its output as training leaves it, given those of its operands; a head has none."""
        return sources[0] if self.keeps_grid else None


KINDS: Registry[OperationKind] = Registry(
    "operation kind", "ppg_nas.operation_kinds", OperationKind, package="hwmodels.network.operations"
)
"""Every kind there is, by name."""


def register(kind: OperationKind) -> None:
    """Add a kind from anywhere; graphs, costs, code and files then know it. Raises RegistryError for a name in use."""
    KINDS.add(kind.name, kind)


def kind_of(op: Op) -> OperationKind:
    """The record of an operation's kind. Raises UnknownNameError where it is not registered here."""
    return KINDS[op.kind]


def all_kinds() -> tuple[OperationKind, ...]:
    """Every kind there is, those of other packages last."""
    return tuple(KINDS.values())
