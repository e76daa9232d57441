"""Which C kernel serves an operation, and what it takes: scratch, flash for data, linked code.

Everything here follows from the Op alone, so that a cost model can price a network nobody has trained yet.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwmodels.basics.errors import InputError
from hwmodels.c.text import C_FOLDER, sources_in
from hwmodels.c.toolchain import ElfImage, Toolchain, ToolchainError
from hwmodels.network.graph import Op
from hwmodels.signals.spectrum import PADDED, spectrum_channels

KERNEL_FOLDER = C_FOLDER / "kernels"
STEP_BYTES = 24
LAYER_BYTES = 20
_REQUANTIZATION_WORDS = 5
_BELIEF_BYTES = 64
_DATA_BYTES = {"add": 16, "average_pool": LAYER_BYTES, "heart_rate_head": 16 + _BELIEF_BYTES}
_DATA_BYTES |= {"class_head": 8 + _BELIEF_BYTES, "history": 12}
FIXED_DATA_BYTES = 44
FIXED_CODE_UNITS = frozenset({"ppgnet_run", "ppgnet_execute", "ppgnet_prepare", "ppgnet_prepare_window"})
FIXED_CODE_UNITS |= {"ppgnet_prepare_signals"}
SPECTRUM_CODE_UNITS = frozenset({"ppgnet_prepare_spectrum", "ppgnet_spectrum_pair", "ppgnet_transform"})
SPECTRUM_DATA_BYTES = 12 + 4 * (PADDED // 4 + 1)
MOTION_CODE_UNITS = frozenset({"ppgnet_prepare_motion", "ppgnet_cancel"})
MOTION_CODE_UNITS |= {"ppgnet_correlate_axes", "ppgnet_correlate_pulse"}

ENTRY_POINTS = """\
void ppgnet_run(int8_t *arena, const int8_t *input, ppgnet_result *result)
{
    ppgnet_execute(&network, arena, input, result);
}

void ppgnet_prepare(int8_t *input, const float *pulse, const float *acceleration)
{
    ppgnet_prepare_window(&input_settings, input, pulse, acceleration);
}
"""
STREAM_ENTRY_POINT = """\
void ppgnet_stream_reset(int8_t *arena)
{
    ppgnet_forget(&network, arena);
}
"""
_ENTRY_PROBE = f"""\
#include "ppgnet_kernels.h"
extern const ppgnet_network network;
extern const ppgnet_input_settings input_settings;
void ppgnet_run(int8_t *arena, const int8_t *input, ppgnet_result *result);
void ppgnet_prepare(int8_t *input, const float *pulse, const float *acceleration);
void ppgnet_stream_reset(int8_t *arena);
{ENTRY_POINTS}
{STREAM_ENTRY_POINT}"""


class UnsupportedOpError(InputError):
    """An operation no kernel serves; names it."""


@dataclass(frozen=True)
class KernelVariant:
    """A way to compute an operation: `name` keys the look-up table, `function` is the C symbol."""

    name: str
    function: str


def _named(name: str) -> KernelVariant:
    return KernelVariant(name, f"ppgnet_{name}")


_UNROLLED_PAIRS = {"relu": (3, 4, 5, 6, 8, 10, 12, 16), "linear": (4, 8, 12, 16)}
_MATRIX = {
    (form, pairs): _named(f"matrix_{form}_{pairs or 'any'}")
    for form, unrolled in _UNROLLED_PAIRS.items()
    for pairs in (*unrolled, 0)
}
_MATRIX_PAIRS = {variant: pairs for (_, pairs), variant in _MATRIX.items()}
_DENSE = KernelVariant("dense", "ppgnet_dense")
_DEPTHWISE = {
    (form, taps): _named(f"depthwise_{form}_{taps}") for form in ("relu", "linear", "spaced") for taps in (3, 5, 7, 9)
}
_DEPTHWISE_ANY = _named("depthwise_any")
EXACT = KernelVariant("exact", "ppgnet_exact")
ADD_EXACT = KernelVariant("add_exact", "ppgnet_add_exact")
_OTHER = {
    "fully_connected": _DENSE,
    "add": KernelVariant("add", "ppgnet_add"),
    "average_pool": KernelVariant("average_pool", "ppgnet_average_pool"),
    "history": KernelVariant("history", "ppgnet_history"),
    "heart_rate_head": KernelVariant("heart_rate", "ppgnet_heart_rate"),
    "class_head": KernelVariant("class", "ppgnet_class"),
}
KERNELS = tuple(
    dict.fromkeys((*_MATRIX.values(), *_DEPTHWISE.values(), _DEPTHWISE_ANY, *_OTHER.values(), ADD_EXACT, EXACT))
)
"""Every kernel there is."""
_HELPERS = {
    "ppgnet_dense": frozenset({"ppgnet_gather_one", "ppgnet_gather_loosely", "ppgnet_dense_row"}),
    "ppgnet_heart_rate": frozenset({"ppgnet_read_belief"}),
    "ppgnet_history": frozenset({"ppgnet_forget", "ppgnet_stream_reset"}),
}
_HELPERS |= {
    variant.function: frozenset(
        {
            variant.function.replace("matrix", "tile"),
            "ppgnet_run_matrix",
            "ppgnet_gather",
            "ppgnet_gather_loosely",
            "ppgnet_widen_rows",
            "ppgnet_widen",
        }
    )
    for variant in _MATRIX_PAIRS
}
_HELPERS |= {
    variant.function: frozenset(
        {
            variant.function.replace("depthwise", "series"),
            "ppgnet_depthwise",
            "ppgnet_gather_series",
            "ppgnet_mend_pair",
        }
    )
    for variant in (*_DEPTHWISE.values(), _DEPTHWISE_ANY)
}
_LIMITS = {"length_in": 65535, "channels_in": 65535, "channels_out": 65535, "dilation": 65535}
_LIMITS |= {"padding_before": 65535, "kernel": 255, "stride": 255}


def variant_of(op: Op) -> KernelVariant:
    """The kernel for `op`, given scales inside its fast form. Raises UnsupportedOpError naming the op."""
    return variants_of(op)[0]


def variants_of(op: Op) -> tuple[KernelVariant, ...]:
    """Kernels that compute `op`, the fastest first; later ones ask less of its scales, the last nothing.

    Convolutions with at least four positions and an even number of outputs take a tiled matrix kernel,
    unrolled for their depth where there is one; all others the dense one. Depthwise convolutions take a
    kernel unrolled for their taps; where outputs lie two samples of a dilation phase apart, one for any taps;
    where more, or without channels in fours, the exact. Compact code has one tiled kernel for all depths, the
    smallest no tiles, and one depthwise kernel for all taps. Raises UnsupportedOpError naming the op.
    """
    if op.kind == "input":
        raise UnsupportedOpError(f"op {op.name!r}: an input needs no kernel")
    for field, limit in _LIMITS.items():
        if getattr(op, field) > limit:
            raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): {field} {getattr(op, field)} exceeds {limit}")
    if op.kind == "conv" and op.length_out >= 4 and op.channels_out % 2 == 0 and op.code != "smallest":
        linear = _matrix_variant(op, "linear")
        return (_matrix_variant(op, "relu"), linear, EXACT) if op.activation == "relu" else (linear, EXACT)
    if op.kind in ("conv", "fully_connected"):
        return (_DENSE, EXACT)
    if op.kind == "depthwise":
        if op.channels_out % 4 != 0 or series_spacing(op) > 2:
            return (EXACT,)
        form = "relu" if op.activation == "relu" else "linear"
        if series_spacing(op) == 2:
            form = "spaced" if op.activation == "relu" else ""
        fast = _DEPTHWISE.get((form, op.kernel // 2 * 2 + 1))
        return (fast, EXACT) if fast and op.code != "smallest" else (_DEPTHWISE_ANY, EXACT)
    if op.kind in ("heart_rate_head", "class_head") and not 2 <= op.channels_in <= 256:
        raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): takes 2 to 256 logits, got {op.channels_in}")
    if op.kind == "add" and op.activation == "relu":
        raise UnsupportedOpError(f"op {op.name!r}: add has no fused relu; put it on the convolution before")
    return (_OTHER[op.kind], ADD_EXACT) if op.kind == "add" else (_OTHER[op.kind],)


def _matrix_variant(op: Op, form: str) -> KernelVariant:
    needed = -(-op.kernel * op.channels_in // 2)
    unrolled = next((pairs for pairs in _UNROLLED_PAIRS[form] if pairs >= needed), 0)
    is_close = unrolled - needed <= needed % 2 or unrolled == _UNROLLED_PAIRS[form][0]
    return _MATRIX[form, unrolled if is_close and op.code == "fast" else 0]


def series_spacing(op: Op) -> int:
    """Samples of one dilation phase between neighbouring outputs of a depthwise convolution."""
    return op.stride // math.gcd(op.stride, op.dilation)


def series_classes(op: Op) -> int:
    """Classes of outputs of a depthwise convolution that share no sample."""
    return op.dilation * series_spacing(op) // op.stride


def is_matrix(variant: KernelVariant) -> bool:
    """Whether a kernel is a matrix product of packed weights."""
    return variant == _DENSE or variant in _MATRIX_PAIRS


def padded_depth(op: Op, variant: KernelVariant) -> int:
    """Products per output of a matrix kernel, filled up to what it is unrolled for."""
    depth = op.kernel * op.channels_in
    if variant == _DENSE:
        return -(-depth // 8) * 8
    return 2 * _MATRIX_PAIRS[variant] or max(8, -(-depth // 4) * 4)


def layer_fields(op: Op, zero_point_in: int, zero_point_out: int) -> tuple[int, ...]:
    """The members of ppgnet_layer before its data."""
    return (
        op.length_in,
        op.channels_in,
        op.length_out,
        op.channels_out,
        op.dilation,
        op.padding_before,
        op.kernel,
        op.stride,
        zero_point_in,
        zero_point_out,
    )


def scratch_bytes(op: Op) -> int:
    """Arena bytes the op's kernel works in while it runs, beyond its tensors; a multiple of 4."""
    if op.kind == "input":
        return 0
    variant = variant_of(op)
    if variant == _DENSE:
        return 2 * padded_depth(op, variant) + 8
    if variant in _MATRIX_PAIRS:
        padding = -(-op.channels_in // 4) * 4 if op.kernel > 1 else 0
        depths = [padded_depth(op, made) for made in variants_of(op) if made in _MATRIX_PAIRS]
        return 8 * max(depths) + max(8, padding)
    if op.kind == "heart_rate_head":
        return -(-2 * op.channels_in // 4) * 4
    if op.kind == "depthwise" and variant != EXACT:
        classes = series_classes(op)
        groups = -(-op.length_out // (4 * classes))
        classes = min(classes, op.length_out)
        samples = 16 * (2 * series_spacing(op) * groups + op.kernel // 2)
        return classes * (samples + 8 * groups + 8 + 12 + 16) + 16
    return 0


def data_bytes(op: Op) -> int:
    """Flash for an op's constants: step, parameters, weights, requantization records; a multiple of 4."""
    if op.kind == "input":
        return SPECTRUM_DATA_BYTES if op.reads == "spectrum" else 0
    variant = variant_of(op)
    if is_matrix(variant):
        pairs = -(-op.channels_out // 2)
        words = padded_depth(op, variant) // 2 + _REQUANTIZATION_WORDS
        return STEP_BYTES + LAYER_BYTES + pairs * 4 * words
    if variant == EXACT:
        return exact_data_bytes(op)
    if op.kind == "depthwise":
        return STEP_BYTES + LAYER_BYTES + 4 + op.channels_out * (8 + 4 * (op.kernel // 4 + 1))
    return STEP_BYTES + _DATA_BYTES[op.kind]


def record_bytes(op: Op) -> int:
    """Of `data_bytes`, those of the parameters that say the shape of a convolution or an add."""
    return _DATA_BYTES[op.kind] if op.kind == "add" else LAYER_BYTES


def exact_variant(op: Op) -> KernelVariant:
    """The kernel that serves `op` whatever its scales; slower, and without scratch."""
    return variants_of(op)[-1]


def exact_data_bytes(op: Op) -> int:
    """As `data_bytes`, for the exact kernel."""
    if op.kind == "add":
        return STEP_BYTES + 44
    return STEP_BYTES + LAYER_BYTES + 24 + -(-op.weight_count // 4) * 4 + 12 * op.channels_out


def code_units(op: Op) -> frozenset[str]:
    """C functions that are linked for the op, shared between ops; FIXED_CODE_UNITS are always linked."""
    if op.kind == "input":
        is_spectrum = op.reads == "spectrum"
        alone = spectrum_channels(1) if is_spectrum else 1
        motion = MOTION_CODE_UNITS if op.channels_in > alone else frozenset()
        return motion | (SPECTRUM_CODE_UNITS if is_spectrum else frozenset())
    return units_of(variant_of(op))


def units_of(variant: KernelVariant) -> frozenset[str]:
    """The variant's function and what it calls."""
    return _HELPERS.get(variant.function, frozenset()) | {variant.function}


def kernel_sources() -> dict[str, str]:
    """The kernels' C sources and headers, file name to text."""
    return sources_in(KERNEL_FOLDER)


def kernel_hash() -> str:
    """SHA-256 over the kernels' sources: what a look-up table must have been measured with."""
    digest = hashlib.sha256()
    for name, text in kernel_sources().items():
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def code_unit_bytes(toolchain: Toolchain) -> dict[str, int]:
    """Flash bytes of every code unit, from the sections of the compiled objects.

    Raises ToolchainError when a compiler makes constants outside of the units' own sections.
    """
    sources = kernel_sources() | {"ppgnet_entry.c": _ENTRY_PROBE}
    units: dict[str, int] = {}
    for section, size in toolchain.section_bytes(sources).items():
        if not section.startswith(".text.ppgnet_"):
            raise ToolchainError(f"{toolchain.version}: unexpected section {section} of {size} bytes in the kernels")
        units[section.removeprefix(".text.")] = size
    return units


def kernel_image(toolchain: Toolchain) -> ElfImage:
    """All kernels linked, for profiling them one by one."""
    sources: Mapping[str, str] = kernel_sources()
    functions = {kernel.function for kernel in KERNELS}
    return toolchain.link(
        sources,
        keep=(
            *sorted(functions),
            "ppgnet_prepare_window",
            "ppgnet_prepare_motion",
            "ppgnet_prepare_spectrum",
        ),
    )
