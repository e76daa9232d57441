"""What a run's figures mean beside the classical estimators on the same people, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BASELINES = ("spectral tracker", "spectral argmax")
"""Estimators without any training, which a network is there to beat."""
INTEGER_FORMS = ("int8 subnet", "int8 subnet, tracked")


def comparison_lines(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each source: the best form of the exported network beside each classical estimator.

    `results` are metrics by estimator and source, as the evaluation stage writes them; rhythms have no such estimators.
    """
    known = [name for name in BASELINES if name in results]
    forms = [name for name in INTEGER_FORMS if name in results]
    if not known or not forms:
        return []
    return [_sentence(results, source, forms, known) for source in sorted(results[forms[0]])]


def _sentence(results: Mapping[str, Mapping[str, Any]], source: str, forms: list[str], known: list[str]) -> str:
    errors = {name: float(results[name][source]["mae_bpm"]["value"]) for name in (*forms, *known)}
    best = min(forms, key=errors.__getitem__)
    text = f"{source}: the {best} is off by {errors[best]:.2f} BPM"
    ahead = [f"the {name} ({errors[name]:.2f})" for name in known if errors[name] > errors[best]]
    behind = [f"the {name} ({errors[name]:.2f})" for name in known if errors[name] <= errors[best]]
    if ahead:
        text += f", better than {' and '.join(ahead)}"
    if behind:
        text += f"{' but' if ahead else ','} NOT better than {' and '.join(behind)}, which needs no training"
        text += ": train on more people or for longer before this network is deployed"
    return text


def training_line(fine_tuning_epochs: int, quantization_epochs: int) -> str:
    """How long the float and the int8 network were trained, so that their errors can be compared."""
    if not quantization_epochs:
        return f"The int8 subnet is the float one ({fine_tuning_epochs} epochs), quantized without further training."
    return (
        f"Float and int8 subnet were both trained for {fine_tuning_epochs} + {quantization_epochs} epochs; the int8 "
        "one learned its rounding in the last of them."
    )
