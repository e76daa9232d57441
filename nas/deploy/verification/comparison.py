"""What every witness says of a bundle's golden windows: a row each, elements compared and how they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwmodels.c.toolchain import Toolchain, ToolchainError, host_toolchain
from hwmodels.codegen.network_source import entry_points
from hwmodels.validation.tensors import Compiled, core_tensors, deployed_results, host_tensors
from nas.deploy.bundle import Bundle
from nas.deploy.formats.description import logits_of
from nas.deploy.formats.registry import MissingPackageError, written
from nas.deploy.golden import golden_past, golden_tensors
from nas.deploy.verification.runtimes import (
    Agreement,
    activations,
    agreement,
    litert_tensors,
    onnx_operations,
    onnx_tensors,
)

COLUMNS = ("witness", "compared", "elements", "mismatches", "max_ulp", "note")
_EVERY = "every tensor"
_RESULTS = "results"
_WHOLE_WINDOWS = "holds whole windows, not streaming steps"


@dataclass(frozen=True)
class Testimony:
    """A row: who, what was compared, and the agreement; None with a note where a witness could not be heard.

    `allowed_ulp` is how far it may be off.
    """

    witness: str
    compared: str
    found: Agreement | None
    note: str = ""
    allowed_ulp: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether it was heard and differs by more than it may."""
        return self.found is not None and self.found.max_ulp > self.allowed_ulp

    def row(self) -> dict[str, Any]:
        """The columns COLUMNS."""
        figures = vars(self.found) if self.found else dict.fromkeys(("elements", "mismatches", "max_ulp"))
        return {"witness": self.witness, "compared": self.compared, **figures, "note": self.note}


def of_files(bundle: Bundle) -> list[Testimony]:
    """The network files of a bundle, run by their runtimes. Raises InputError when one is not installed."""
    expected = golden_tensors(bundle.model, bundle.golden_inputs)
    return [said() for kind, said in _of_files(bundle, expected).items() if kind in bundle.files]


def of_everyone(bundle: Bundle, toolchain: Toolchain, run: Path | None) -> list[Testimony]:
    """All witnesses of a bundle, of formats that it does not hold as well.

    `run` is the run that it was exported from, by default the one whose subnets/ID holds it. A witness that
    is not at hand has a note instead of figures. Raises InputError when a file of the bundle cannot be run.
    """
    model, inputs = bundle.model, bundle.golden_inputs
    expected = golden_tensors(model, inputs)
    stored = {model.graph.output.name: bundle.golden_outputs}
    said = [Testimony("interpreter", "stored results", agreement(expected, stored))]
    said.append(_quantized_module(bundle, expected, run))
    said += _c_code(bundle, expected, toolchain)
    for kind, hear in _of_files(bundle, expected).items():
        if model.graph.state_bytes:
            note = "holds nothing between windows" if model.graph.spans_windows else _WHOLE_WINDOWS
            said.append(Testimony(_NAMES[kind], _EVERY, None, note))
        elif kind in bundle.files:
            said.append(hear())
        else:
            said.append(_heard(_NAMES[kind], hear))
    return said


_NAMES = {
    "tflite": "LiteRT, reference kernels",
    "onnx": "onnxruntime",
    "onnx-plain": "onnxruntime, plain QDQ",
}


def _of_files(bundle: Bundle, expected: dict[str, Any]) -> dict[str, Callable[[], Testimony]]:
    """By kind of file, how to hear its runtime."""
    model, windows, names = bundle.model, bundle.golden_inputs, activations(bundle.model)

    def content(kind: str) -> bytes:
        return bundle.files[kind] if kind in bundle.files else written(kind, model)

    def tflite() -> Testimony:
        found = litert_tensors(content("tflite"), windows, names)
        return Testimony(_NAMES["tflite"], _EVERY, agreement(expected, found))

    def exact() -> Testimony:
        found = onnx_tensors(content("onnx"), windows, names)
        return Testimony(_NAMES["onnx"], _EVERY, agreement(expected, found))

    def plain() -> Testimony:
        file, logits = content("onnx-plain"), [logits_of(model).name]
        found = agreement(expected, onnx_operations(file, expected, names))
        ends = agreement(expected, onnx_tensors(file, windows, logits))
        note = f"logits from end to end: {ends.max_ulp}"
        return Testimony(_NAMES["onnx-plain"], "each operation by itself", found, note, allowed_ulp=1)

    return {"tflite": tflite, "onnx": exact, "onnx-plain": plain}


def _quantized_module(bundle: Bundle, expected: dict[str, Any], run: Path | None) -> Testimony:
    # Imported here, because it alone takes seconds to import: verifying a bundle does without torch.
    from nas.deploy.verification.torch_runtime import module_of, qat_tensors

    network = module_of(bundle, run)
    if isinstance(network, str):
        return Testimony("quantized module", _EVERY, None, network)
    found = qat_tensors(
        network, bundle.model, bundle.golden_inputs, golden_past(bundle.model, len(bundle.golden_inputs))
    )
    return Testimony("quantized module", _EVERY, agreement(expected, found))


def _c_code(bundle: Bundle, expected: dict[str, Any], toolchain: Toolchain) -> list[Testimony]:
    model, windows = bundle.model, bundle.golden_inputs
    past = golden_past(model, len(windows))
    result = model.graph.output.name

    def on_host() -> Testimony:
        host = Compiled.by(host_toolchain())
        found = agreement(expected, host_tensors(model, windows, host, past))
        return Testimony("C on this machine", _EVERY, found, host.toolchain.version)

    def on_core() -> Testimony:
        found = agreement(expected, core_tensors(model, windows, Compiled.by(toolchain), past))
        return Testimony("C on the emulated core", _EVERY, found, toolchain.version)

    def as_it_is() -> Testimony:
        image = toolchain.link(firmware_sources(bundle), entry_points(model))
        results = deployed_results(model, image, windows, past)
        found = agreement(expected, {result: results})
        return Testimony("the bundle's C on the emulated core", _RESULTS, found, toolchain.version)

    said = [_heard("C on this machine", on_host), on_core()]
    return [*said, as_it_is()] if bundle.sources else said


def firmware_sources(bundle: Bundle) -> dict[str, str]:
    """The sources that a product links: all but the self-test."""
    return {name: text for name, text in bundle.sources.items() if name != "ppgnet_selftest.c"}


def _heard(witness: str, hear: Callable[[], Testimony]) -> Testimony:
    """The row, or a note where something is not installed."""
    try:
        return hear()
    except (MissingPackageError, ToolchainError) as error:
        return Testimony(witness, _EVERY, None, str(error))
