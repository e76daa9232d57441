"""The integer network over the windows of one recording, in turn and in little memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.integer_model import IntegerModel
from hwmodels.network.interpreter import initial_states, run, run_in_turn


class WindowRunner:
    """Runs successive windows of one recording, however they are handed over: int8 (n, window samples, channels) ->
    the head's rows (n, 3) and its logits (n, outputs). What a network keeps of earlier windows stays with it.
    """

    def __init__(self, model: IntegerModel, batch: int = 128) -> None:
        self._model, self._batch = model, batch
        self._head = model.graph.output.name
        self._logits = model.graph.sources(self._head)[0]
        self._states: dict[str, NDArray[np.int8]] | None = None
        self._before: NDArray[np.int8] | None = None

    def __call__(self, inputs: NDArray[np.int8]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """The next windows, of which there is at least one."""
        if self._model.graph.spans_windows:
            return self._in_turn(inputs)
        if self._model.graph.state_bytes:
            return self._joined([self._streamed(window) for window in inputs])
        batches = range(0, len(inputs), self._batch)
        return self._joined([self._kept(run(self._model, inputs[at : at + self._batch])) for at in batches])

    def _in_turn(self, inputs: NDArray[np.int8]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """With the windows before these that the network remembers in front of them."""
        reach = self._model.graph.remembered_steps
        given = inputs if self._before is None else np.concatenate([self._before, inputs])
        past = np.arange(len(given))
        rows, logits = self._kept(run_in_turn(self._model, given, past, (self._head, self._logits), self._batch))
        self._before = given[max(0, len(given) - reach) :]
        return rows[-len(inputs) :], logits[-len(inputs) :]

    def _streamed(self, window: NDArray[np.int8]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        new = self._model.graph.input.length_in
        if self._states is None:
            self._states = initial_states(self._model, 1)
            for chunk in np.split(window, len(window) // new)[:-1]:
                run(self._model, chunk[None], self._states)
        return self._kept(run(self._model, window[None, -new:], self._states))

    def _kept(self, tensors: dict[str, NDArray]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        logits = tensors[self._logits]
        return tensors[self._head], logits.reshape(len(logits), -1)

    @staticmethod
    def _joined(
        parts: list[tuple[NDArray[np.int32], NDArray[np.int8]]],
    ) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([logits for _, logits in parts])
