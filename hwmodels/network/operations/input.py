"""The network's input: made before the network runs, so that only its bytes count, and the code that makes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwmodels.network.graph import Op
from hwmodels.network.integer_model import Quantization
from hwmodels.network.operation_kind import KernelVariant, OperationKind, UnsupportedOpError, register
from hwmodels.signals.spectrum import PADDED, spectrum_channels

_SPECTRUM_PARTS = "prepare_spectrum spectra places spectrum_stretch make_turns weigh residue"
_FOLDS = "fold_first fold_half fold_whole"
SPECTRUM_CODE_UNITS = frozenset(f"ppgnet_{part}" for part in f"{_SPECTRUM_PARTS} {_FOLDS}".split())
SPECTRUM_DATA_BYTES = 28 + 4 * (PADDED // 4 + 1)
MOTION_CODE_UNITS = frozenset(
    {"ppgnet_prepare_motion", "ppgnet_cancel", "ppgnet_correlate", "ppgnet_reduce", "ppgnet_solve"}
)


class Input(OperationKind):
    """Samples, or spectra, as int8 rows."""

    name = "input"
    fan_in = 0

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """None: there is no kernel."""
        raise UnsupportedOpError(f"op {op.name!r}: an input needs no kernel")

    def data_bytes(self, op: Op) -> int:
        """The cosines of a spectrum, and its record."""
        return SPECTRUM_DATA_BYTES if op.reads == "spectrum" else 0

    def code_units(self, op: Op) -> frozenset[str]:
        """What makes it of the sensors' samples."""
        is_spectrum = op.reads == "spectrum"
        alone = spectrum_channels(1) if is_spectrum else 1
        motion = MOTION_CODE_UNITS if op.channels_in > alone else frozenset()
        return motion | (SPECTRUM_CODE_UNITS if is_spectrum else frozenset())

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """The pulse alone, or with motion."""
        length, channels = int(rng.integers(8, 80)), int(rng.choice([1, 4]))
        return Op("op", self.name, length, channels, length, channels)

    def example_grid(self, op: Op, sources: Sequence[Quantization], rng: np.random.Generator) -> Quantization:
        """Some 30 steps a standard deviation, nearly centred."""
        return Quantization(float(rng.uniform(0.02, 0.05)), int(rng.integers(-20, 21)))


register(Input())
