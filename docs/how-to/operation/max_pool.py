"""A kind of operation from outside of the package: the maximum of each of equal segments."""

from dataclasses import replace
from pathlib import Path

from hwmodels.network.c_records import CRecord
from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import KernelVariant, OperationKind, register

_C_FILE = Path(__file__).with_name("ppgnet_segment_max.c")


class MaxPool(OperationKind):
    name = "max_pool"
    keeps_grid = pools = True
    kernels = (KernelVariant("segment_max", "ppgnet_segment_max"),)

    def complaint(self, op):
        return "length_in must be a multiple of length_out" if op.length_in % op.length_out else ""

    def compute(self, op, operands, given):
        return operands[0].reshape(len(operands[0]), op.length_out, -1, op.channels_in).max(axis=2)

    def real(self, op, operands):
        return operands[0].unflatten(3, (op.length_out, -1)).amax(4)

    def record_bytes(self, op):
        return 12

    def constants(self, op, variant, given):
        return CRecord("struct { uint32_t sizes[3]; }", "3I", ((op.length_out, self._rows(op), op.channels_in),))

    def sources(self):
        return {_C_FILE.name: _C_FILE.read_text()}

    def rows_per_output(self, op):
        return self._rows(op)

    def over(self, op, length):
        return replace(op, length_in=length, length_out=length // self._rows(op))

    def write_tflite(self, writer, op, operands, output):
        size = {"FilterHeight": 1, "FilterWidth": self._rows(op), "StrideH": 1, "StrideW": self._rows(op)}
        writer.operator("MAX_POOL_2D", operands, output, "Pool2D", Padding="VALID", **size)

    def write_onnx(self, writer, op, operands):
        rows = [self._rows(op)]
        return writer.node("MaxPool", operands, f"{op.name}.largest", kernel_shape=rows, strides=rows)

    def example(self, rng, variant=None):
        rows, segments, channels = (int(rng.integers(1, most)) for most in (12, 6, 30))
        return Op("op", self.name, rows * segments, channels, segments, channels)

    def _rows(self, op):
        return op.length_in // op.length_out


KIND = MaxPool()
register(KIND)
