"""Which C kernel serves an operation, and what it takes: scratch, flash for data, linked code.

Everything here follows from the Op alone, so that a cost model can price a network nobody has trained yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from hwmodels.c.text import C_FOLDER, sources_in
from hwmodels.c.toolchain import ElfImage, Toolchain, ToolchainError
from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import STEP_BYTES, KernelVariant, UnsupportedOpError, all_kinds, kind_of

__all__ = [
    "ENTRY_POINTS",
    "FIXED_CODE_UNITS",
    "FIXED_DATA_BYTES",
    "STEP_BYTES",
    "KernelVariant",
    "UnsupportedOpError",
    "all_kernels",
    "code_unit_bytes",
    "code_units",
    "data_bytes",
    "declarations",
    "exact_data_bytes",
    "exact_variant",
    "kernel_hash",
    "kernel_image",
    "kernel_sources",
    "record_bytes",
    "scratch_bytes",
    "stream_entry_point",
    "units_of",
    "variant_of",
    "variants_of",
]

KERNEL_FOLDER = C_FOLDER / "kernels"
FIXED_DATA_BYTES = 44
FIXED_CODE_UNITS = frozenset({"ppgnet_run", "ppgnet_execute", "ppgnet_prepare", "ppgnet_prepare_window"})
FIXED_CODE_UNITS |= {"ppgnet_prepare_signals"}

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


def stream_entry_point(forget: str) -> str:
    """The function that starts a recording, by the C function that starts all operations of a kind afresh."""
    return f"void ppgnet_stream_reset(int8_t *arena)\n{{\n    {forget}(&network, arena);\n}}\n"


_ENTRY_PROBE = f"""\
#include "ppgnet_kernels.h"
extern const ppgnet_network network;
extern const ppgnet_input_settings input_settings;
void ppgnet_run(int8_t *arena, const int8_t *input, ppgnet_result *result);
void ppgnet_prepare(int8_t *input, const float *pulse, const float *acceleration);
void ppgnet_stream_reset(int8_t *arena);
{ENTRY_POINTS}
{stream_entry_point("ppgnet_forget")}"""


_LIMITS = {"length_in": 65535, "channels_in": 65535, "channels_out": 65535, "dilation": 65535}
_LIMITS |= {"padding_before": 65535, "kernel": 255, "stride": 255}


def variant_of(op: Op) -> KernelVariant:
    """The kernel for `op`, given scales inside its fast form. Raises UnsupportedOpError naming the op."""
    return variants_of(op)[0]


def variants_of(op: Op) -> tuple[KernelVariant, ...]:
    """Kernels that compute `op`, the fastest first; later ones ask less of its scales, the last nothing.

    Which there are says the op's kind (hwmodels.network.operations). Raises UnsupportedOpError naming the op.
    """
    for field, limit in _LIMITS.items():
        if getattr(op, field) > limit:
            raise UnsupportedOpError(f"op {op.name!r} ({op.kind}): {field} {getattr(op, field)} exceeds {limit}")
    return kind_of(op).variants(op)


def exact_variant(op: Op) -> KernelVariant:
    """The kernel that serves `op` whatever its scales; slower, and without scratch."""
    return variants_of(op)[-1]


def scratch_bytes(op: Op) -> int:
    """Arena bytes the op's kernel works in while it runs, beyond its tensors; a multiple of 4."""
    return kind_of(op).scratch_bytes(op)


def data_bytes(op: Op) -> int:
    """Flash for an op's constants: step, parameters, weights, requantization records; a multiple of 4."""
    return kind_of(op).data_bytes(op)


def record_bytes(op: Op) -> int:
    """Of `data_bytes`, those of the parameters that say the shape of a convolution or an add."""
    return kind_of(op).record_bytes(op)


def exact_data_bytes(op: Op) -> int:
    """As `data_bytes`, for the exact kernel."""
    return kind_of(op).exact_data_bytes(op)


def code_units(op: Op) -> frozenset[str]:
    """C functions that are linked for the op, shared between ops; FIXED_CODE_UNITS are always linked."""
    return kind_of(op).code_units(op)


def units_of(variant: KernelVariant) -> frozenset[str]:
    """The variant's function and what it calls."""
    return variant.helpers | {variant.function}


def all_kernels() -> tuple[KernelVariant, ...]:
    """Every kernel there is of every kind."""
    return tuple(dict.fromkeys(kernel for kind in all_kinds() for kernel in kind.kernels))


def kernel_sources() -> dict[str, str]:
    """The kernels' C sources and headers, file name to text, those of kinds from outside of the package included."""
    return sources_in(KERNEL_FOLDER) | {name: text for kind in all_kinds() for name, text in kind.sources().items()}


def declarations(ops: Iterable[Op]) -> str:
    """C declarations of the kernels of kinds from outside of the package; ppgnet_kernels.h has those of ours."""
    outside = [op for op in ops if kind_of(op).sources()]
    functions = dict.fromkeys(variant.function for op in outside for variant in variants_of(op))
    return "".join(f"ppgnet_kernel {function};\n" for function in functions)


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
    functions = {kernel.function for kernel in all_kernels()}
    return toolchain.link(
        sources,
        keep=(
            *sorted(functions),
            "ppgnet_prepare_window",
            "ppgnet_prepare_motion",
            "ppgnet_prepare_spectrum",
        ),
    )
