"""What computes nothing: other names for the same bytes, padding, tensors put together, cut and turned."""

from __future__ import annotations

from math import prod

from hwmodels.foreign.foreign_ops import COPY, ForeignCall, moved
from hwmodels.foreign.tflite_reader import TFLiteTensor
from hwmodels.foreign.walk import Site, UnsupportedError, Value, has_grid, operator, padding_op, rows_of

_MOST_SHAPE_ELEMENTS = 16


@operator("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def view(site: Site) -> None:
    """The same bytes in another shape; rows that are padded keep their padding."""
    value, source, made = site.lazy(), site.tensor(0), site.output
    if prod(rows_of(source)) != prod(rows_of(made)):
        raise UnsupportedError(f"reshapes {source.shape} to {made.shape}")
    if value.padding == (0, 0):
        value = site.walk.whole(site.walk.values[site.operator.inputs[0]])
    elif value.shape != rows_of(made):
        value = site.read()
    site.walk.values[site.operator.outputs[0]] = value


@operator("TRANSPOSE")
def transpose(site: Site) -> None:
    """A view where axes longer than 1 keep their order."""
    order, source = site.tensor(1).constant, site.tensor(0)
    if order is None or sorted(order.tolist()) != list(range(len(source.shape))):
        raise UnsupportedError("its order of axes is not a constant")
    long = [axis for axis in order.tolist() if source.shape[axis] > 1]
    if long == sorted(long):
        return view(site)
    return move(site)


@operator("SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK", "PACK", "TILE", "GATHER", "REVERSE_V2")
@operator("BROADCAST_TO", "RESIZE_NEAREST_NEIGHBOR", "MIRROR_PAD", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def move(site: Site) -> None:
    """Elements of the outputs taken one by one from anywhere: an upper bound on whatever only moves data."""
    if _is_shape(site.output):
        return
    places = [place for place, at in enumerate(site.operator.inputs) if at in site.walk.values]
    values = [site.read(place) for place in places if not site.tensor(place).is_constant]
    if not values:
        raise UnsupportedError("reads constants alone")
    for place in (place for place, at in enumerate(site.operator.outputs) if at >= 0):
        tensor = site.walk.file.tensors[site.operator.outputs[place]]
        site.require_window(tensor)
        length, row = rows_of(tensor)
        sizes = (*tensor.shape[:-1], row) if prod(tensor.shape[:-1]) == length else (length, row)
        site.emit_calls(site.operator.name.lower(), values, [moved(sizes)], place=place)


@operator("SHAPE")
def shape_of(site: Site) -> None:
    """Known before the network runs."""
    if not _is_shape(site.output):
        raise UnsupportedError("makes no shape")


def _is_shape(tensor: TFLiteTensor) -> bool:
    """Whether a tensor is arithmetic of shapes, which is done once, before anything runs."""
    return tensor.kind in ("int32", "int64") and prod(tensor.shape) <= _MOST_SHAPE_ELEMENTS


@operator("PAD", "PADV2")
def pad(site: Site) -> None:
    """Rows before and after, which a convolution behind it may take in; else a copy with fill around it."""
    source, made = site.tensor(0), site.output
    amounts = site.tensor(1).constant
    rank = len(source.shape)
    if amounts is None or amounts.size != 2 * rank or (amounts < 0).any() or rank < 2:
        raise UnsupportedError("its amounts are not a constant of one pair per axis")
    pairs = [(int(before), int(after)) for before, after in amounts.reshape(rank, 2)]
    if tuple(size + sum(pair) for size, pair in zip(source.shape, pairs, strict=True)) != made.shape:
        raise UnsupportedError(f"makes {made.shape} of {source.shape} and {pairs}")
    if has_grid(source) and has_grid(made) and not site.same_grid():
        raise UnsupportedError("changes the quantization of its input")
    site.require_window(made)
    value = site.read()
    padded = [axis for axis in range(rank - 1) if any(pairs[axis])]
    long = [axis for axis in range(rank - 1) if source.shape[axis] > 1]
    if padded and (len(padded) > 1 or long not in ([], padded)):
        return site.emit_calls("pad", [value], [moved((*made.shape[:-1], rows_of(made)[1]))])
    rows = pairs[padded[0]] if padded else (0, 0)
    element = rows_of(source)[1] // source.shape[-1]
    columns = (pairs[-1][0] * element, pairs[-1][1] * element)
    if columns == (0, 0) and site.operator.name == "PAD":
        lazy = Value(value.name, value.length, value.channels, rows, site.operator.index)
        site.walk.values[site.operator.outputs[0]] = lazy
        return None
    return site.put(padding_op(site.name, value, rows, columns), [value.name])


@operator("CONCATENATION")
def concatenation(site: Site) -> None:
    """Each input copied to its place, row by row where the last axis grows."""
    made = site.output
    axis = site.option("Axis")
    axis += len(made.shape) if axis < 0 else 0
    if not 0 <= axis < len(made.shape):
        raise UnsupportedError(f"puts together along axis {axis} of {made.shape}")
    site.require_window(made)
    step = _bytes_from(made, axis)
    calls, values, total = [], [], 0
    for place in range(len(site.operator.inputs)):
        tensor = site.tensor(place)
        if len(tensor.shape) != len(made.shape) or tensor.kind != made.kind:
            raise UnsupportedError(f"puts a {tensor.kind} tensor of shape {tensor.shape} into {made.shape}")
        if not tensor.is_constant:
            values.append(site.read(place))
        run, runs = _bytes_from(tensor, axis), prod(tensor.shape[:axis])
        total += run * runs
        constant = run * runs if tensor.is_constant else 0
        calls.append(ForeignCall(COPY, (runs, run, run, step), constant, run * runs))
    if total != prod(rows_of(made)) or not values:
        raise UnsupportedError(f"makes {made.shape}, which its inputs do not")
    site.emit_calls("concatenation", values, calls)


def _bytes_from(tensor: TFLiteTensor, axis: int) -> int:
    length, row = rows_of(tensor)
    return prod(tensor.shape[axis:]) * (length * row // max(1, prod(tensor.shape)))
