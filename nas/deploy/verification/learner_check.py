"""A bundle's learner on the emulated core: what it learns of made-up labels is what Python learns of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwmodels.c.toolchain import Toolchain
from hwmodels.firmware.emulated_learner import LEARNER_ENTRIES, learn_on_core
from hwmodels.firmware.learner import PersonalSettings, last_features, personalize
from hwmodels.network.interpreter import HeartRateSettings
from hwmodels.network.interpreter import run as interpret
from nas.deploy.bundle import Bundle
from nas.deploy.verification.comparison import firmware_sources

_APART_BPM = 6.0


def check_learner(bundle: Bundle, settings: PersonalSettings, toolchain: Toolchain) -> dict[str, Any]:
    """Learn from the golden windows, again and again, labelled a few BPM off what the network says of them.

    ram_bytes: the caller's ppgnet_personal; stack_bytes: of the deepest call; instructions of learning;
    kept_iteration as Python's; mismatches: golden windows of which the network then says something else.
    """
    model, head = bundle.model, bundle.model.head
    assert isinstance(head, HeartRateSettings)
    count = settings.fewest + 3
    windows = bundle.golden_inputs[np.arange(count) % len(bundle.golden_inputs)]
    said, _ = head.decoded(interpret(model, windows)[model.graph.output.name])
    apart = np.random.default_rng(0).normal(0.0, _APART_BPM, count) + _APART_BPM
    labels = np.clip(said + apart, head.first_bpm, head.last_bpm)
    expected = personalize(model, last_features(model, windows), labels, settings)
    image = toolchain.link(firmware_sources(bundle), LEARNER_ENTRIES)
    found = learn_on_core(image, windows, labels, bundle.golden_inputs)
    wanted = interpret(expected.model, bundle.golden_inputs)[model.graph.output.name]
    wrong = int((found.results != wanted).any(axis=1).sum())
    return {
        "ram_bytes": found.learner_bytes,
        "stack_bytes": found.stack_bytes,
        "instructions": found.instructions,
        "kept_iteration": found.kept_iteration,
        "mismatches": wrong + int(found.kept_iteration != expected.kept_iteration),
    }
