"""Memory of earlier steps: some channels of a tensor filtered along the steps that made them, one step apart in time.

A network that runs once a step (2 s) reads the newest window alone; what it knows of the ones before is here. Channels
in front of the others become a causal depthwise filter of their own past, the rest pass (after the temporal shift
of Lin et al., ICCV 2019, with learned taps).
"""

from __future__ import annotations

from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import OperationKind, register


class Context(OperationKind):
    """`remembers` channels filtered by `kernel` taps `dilation` steps apart, newest last.

    Output and input lie on one grid, which after a ReLU ends at zero: there the filtered channels do as well. What
    lies before a start is zero.
    """

    name = "context"
    has_taps = True
    is_channelwise = True
    keeps_grid = True
    keeps_steps = True

    def complaint(self, op: Op) -> str:
        """Channels in fours, at least two taps, no ReLU."""
        if op.length_in != op.length_out or op.stride != 1:
            return "must keep its length"
        if op.remembers % 4 or not 4 <= op.remembers <= op.channels_in:
            return f"remembers channels in fours, 4 to {op.channels_in}, got {op.remembers!r}"
        return "" if op.kernel > 1 and op.activation == "none" else "has two taps or more, and no ReLU of its own"

    def weight_shape(self, op: Op) -> tuple[int, ...]:
        """Tap first."""
        return (op.kernel, op.remembers)

    def state_bytes(self, op: Op) -> int:
        """The steps kept, and a word that says where the newest lies."""
        return 4 + op.reach * op.length_in * op.remembers


register(Context())
