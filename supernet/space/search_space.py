"""The search space: every choice the supernet offers, as integer genes that work on many archs at once.

Gene columns: sampling rate, sensor set, stem width, then per stage its width and one gene per block
position. A block gene is 0 for "absent" or 1 + the index of a block option; the blocks of a stage
are present up to the first absent one, so two genotypes that build one network have one canonical form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from hwmodels.basics.documents import DocumentError, UndecodableError, read_yaml
from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import named_or_shipped, shipped_names
from hwmodels.network.graph import GraphError, LayerGraph, Reads
from hwmodels.signals.spectrum import POSITIONS, RATE_HZ, WINDOW_S, position_bpm
from supernet.space.arch import SENSOR_CHANNELS, Arch, Block, Sensors, Stage
from supernet.space.choices import PositionChoices, StageChoices, StemChoice, Strict, Widths
from supernet.space.lowering import lower

Genes = npt.NDArray[np.int16]
Head = Literal["heart_rate_head", "class_head"]


class SpaceError(InputError):
    """A search space, or an architecture, that is not valid; the message names the field."""


@dataclass(frozen=True)
class BlockColumn:
    """Where a block gene stands: its column, stage and position (from 0), and the blocks it can mean."""

    column: int
    stage: int
    position: int
    options: tuple[Block, ...]


class SearchSpace(Strict):
    """All architectures the supernet holds. Build one with `load_space`.

    `window_s`, `head` and `outputs` (heart-rate bins or classes) come from the task, not the file. Where the
    networks read spectra, positions are the heart-rate bins from input to logits.
    """

    name: str = Field(min_length=1, max_length=100)
    reads: Reads = "samples"
    padding: Literal["causal", "centred"] = "causal"
    sensors: tuple[Sensors, ...] = Field(min_length=1)
    stems: tuple[StemChoice, ...] = Field(min_length=1, max_length=16)
    stem_widths: Widths
    stages: tuple[StageChoices, ...] = Field(min_length=1, max_length=16)
    window_s: int = Field(default=8, ge=1, le=60)
    head: Head = "heart_rate_head"
    outputs: int = Field(default=96, ge=2, le=1024)

    def model_post_init(self, context: Any, /) -> None:
        """Check what single fields cannot: widths, depths, and that each choice is stated once."""
        lists: list[tuple[str, Sequence[object]]] = [
            ("sensors", self.sensors),
            ("stem_widths", self.stem_widths),
            ("stems", self.rates),
        ]
        for number, stage in enumerate(self.stages, 1):
            lists.append((f"stages[{number}].widths", stage.widths))
            if stage.min_depth > len(stage.blocks):
                raise SpaceError(
                    f"space {self.name!r}, stages[{number}].min_depth: {stage.min_depth} is more than its "
                    f"{len(stage.blocks)} block positions"
                )
            for position, choices in enumerate(stage.blocks, 1):
                if not choices.options:
                    raise SpaceError(f"space {self.name!r}, stages[{number}].blocks[{position}]: no kind given")
                lists.append((f"stages[{number}].blocks[{position}]", choices.options))
        if self.reads == "spectrum":
            self._check_spectral()
        for field, values in lists:
            if len(set(values)) != len(values):
                raise SpaceError(f"space {self.name!r}, {field}: a choice is repeated in {list(values)}")
        self._check_context()
        for width in (*self.stem_widths, *(w for stage in self.stages for w in stage.widths)):
            if width % 4 or width <= 0:
                raise SpaceError(f"space {self.name!r}: width {width} is not a multiple of 4, as the kernels want")

    def _check_context(self) -> None:
        """What is remembered must be there in the narrowest stream that a block may read."""
        before = self.stem_widths
        for number, stage in enumerate(self.stages, 1):
            for position, choices in enumerate(stage.blocks, 1):
                most = max(block.remembers for block in choices.options)
                narrowest = min(before if position == 1 else stage.widths)
                field = f"space {self.name!r}, stages[{number}].blocks[{position}].context"
                if most and self.reads != "spectrum":
                    raise SpaceError(f"{field}: networks over samples stream instead; only spectra have a context")
                if most > narrowest:
                    raise SpaceError(f"{field}: {most} channels, but the block may read only {narrowest}")
            before = stage.widths

    @cached_property
    def has_context(self) -> bool:
        """Whether any member remembers earlier windows."""
        return any(option.remembers for block in self.block_columns for option in block.options)

    def _check_spectral(self) -> None:
        strides = [stem.stride for stem in self.stems] + [stage.stride for stage in self.stages]
        if self.rates != (RATE_HZ,) or self.window_s != WINDOW_S:
            raise SpaceError(f"space {self.name!r}: spectra are made of {WINDOW_S} s at {RATE_HZ} Hz alone")
        if set(strides) != {1} or self.padding != "centred":
            raise SpaceError(f"space {self.name!r}: over spectra, strides are 1 and padding is centred")
        if self.head != "heart_rate_head" or self.outputs != POSITIONS:
            ends = position_bpm(0), position_bpm(POSITIONS - 1)
            raise SpaceError(
                f"space {self.name!r}: spectra tell heart rates; set task to bins: {POSITIONS}, "
                f"first_bpm: {ends[0]:g}, last_bpm: {ends[1]:g}"
            )

    def input_length(self, rate_hz: int) -> int:
        """Positions of the networks' input: samples of the window at `rate_hz`, or frequencies."""
        return POSITIONS if self.reads == "spectrum" else self.window_s * rate_hz

    @property
    def rates(self) -> tuple[int, ...]:
        """Sampling rates in Hz, in gene order."""
        return tuple(stem.rate_hz for stem in self.stems)

    def stem(self, rate_hz: int) -> StemChoice:
        """The stem that reads `rate_hz`. Raises SpaceError when there is none."""
        for stem in self.stems:
            if stem.rate_hz == rate_hz:
                return stem
        raise SpaceError(f"space {self.name!r} has no stem for {rate_hz} Hz, only for {self.rates}")

    @cached_property
    def width_columns(self) -> tuple[int, ...]:
        """The gene column of each stage's width."""
        starts, column = [], 3
        for stage in self.stages:
            starts.append(column)
            column += 1 + len(stage.blocks)
        return tuple(starts)

    @cached_property
    def block_columns(self) -> tuple[BlockColumn, ...]:
        """The block genes, in network order."""
        return tuple(
            BlockColumn(start + 1 + position, index, position, choices.options)
            for index, (start, stage) in enumerate(zip(self.width_columns, self.stages, strict=True))
            for position, choices in enumerate(stage.blocks)
        )

    @cached_property
    def gene_count(self) -> int:
        """Columns of an encoded architecture."""
        return 3 + sum(1 + len(stage.blocks) for stage in self.stages)

    @cached_property
    def lows(self) -> Genes:
        """The smallest value of each gene, shape (genes,); 0 for an absent block where it may be absent."""
        lows = np.zeros(self.gene_count, np.int16)
        for block in self.block_columns:
            lows[block.column] = block.position < self.stages[block.stage].min_depth
        return lows

    @cached_property
    def highs(self) -> Genes:
        """The largest value of each gene, inclusive, shape (genes,)."""
        highs = np.zeros(self.gene_count, np.int16)
        highs[:3] = len(self.stems) - 1, len(self.sensors) - 1, len(self.stem_widths) - 1
        for column, stage in zip(self.width_columns, self.stages, strict=True):
            highs[column] = len(stage.widths) - 1
        for block in self.block_columns:
            highs[block.column] = len(block.options)
        return highs

    def size(self) -> int:
        """Number of distinct architectures, exactly."""
        total = len(self.stems) * len(self.sensors) * len(self.stem_widths)
        for stage in self.stages:
            ways, prefix = 0, 1
            for position, choices in enumerate(stage.blocks, 1):
                prefix *= len(choices.options)
                ways += prefix if position >= stage.min_depth else 0
            total *= ways * len(stage.widths)
        return total

    def canonical(self, genes: npt.ArrayLike) -> Genes:
        """Drop the genes of skipped blocks: (n, genes) -> (n, genes). Raises SpaceError out of range."""
        rows = np.array(genes, dtype=np.int16, ndmin=2)
        if rows.shape[1] != self.gene_count or ((rows < self.lows) | (rows > self.highs)).any():
            raise SpaceError(f"space {self.name!r}: genes outside the space's {self.gene_count} ranges")
        for block, before in zip(self.block_columns[1:], self.block_columns, strict=False):
            if block.stage == before.stage:
                rows[:, block.column] *= rows[:, before.column] > 0
        return rows

    def encode(self, archs: Sequence[Arch]) -> Genes:
        """Genes of architectures, (n, genes). Raises SpaceError for one outside this space."""
        rows = np.zeros((len(archs), self.gene_count), np.int16)
        for row, arch in zip(rows, archs, strict=True):
            try:
                row[0] = self.rates.index(arch.rate_hz)
                row[1] = self.sensors.index(arch.sensors)
                row[2] = self.stem_widths.index(arch.stem_width)
                if len(arch.stages) != len(self.stages) or arch.reads != self.reads:
                    raise ValueError
                for column, stage, choices in zip(self.width_columns, arch.stages, self.stages, strict=True):
                    row[column] = choices.widths.index(stage.width)
                    if not choices.min_depth <= len(stage.blocks) <= len(choices.blocks):
                        raise ValueError
                for block in self.block_columns:
                    blocks = arch.stages[block.stage].blocks
                    if block.position < len(blocks):
                        row[block.column] = 1 + block.options.index(blocks[block.position])
            except ValueError:
                raise SpaceError(f"architecture {arch} is not in space {self.name!r}") from None
        return rows

    def decode(self, genes: npt.ArrayLike) -> list[Arch]:
        """Architectures of genes (n, genes); skipped genes are ignored."""
        found = []
        for row in self.canonical(genes).tolist():
            stages = []
            for column, stage in zip(self.width_columns, self.stages, strict=True):
                picks = row[column + 1 : column + 1 + len(stage.blocks)]
                blocks = tuple(
                    choices.options[pick - 1] for choices, pick in zip(stage.blocks, picks, strict=True) if pick
                )
                stages.append(Stage(stage.widths[row[column]], blocks))
            read = self.rates[row[0]], self.sensors[row[1]]
            found.append(Arch(*read, self.stem_widths[row[2]], tuple(stages), self.reads))
        return found

    def sample(self, n: int, rng: np.random.Generator) -> Genes:
        """Draw n canonical genotypes: depth, then each block among its options, uniformly, (n, genes)."""
        rows = rng.integers(self.lows, self.highs + 1, (n, self.gene_count), dtype=np.int16)
        for column, stage in zip(self.width_columns, self.stages, strict=True):
            depth = rng.integers(stage.min_depth, len(stage.blocks) + 1, n)
            for position, choices in enumerate(stage.blocks):
                picks = rng.integers(1, len(choices.options) + 1, n)
                rows[:, column + 1 + position] = np.where(position < depth, picks, 0)
        return rows

    def mutate(self, genes: Genes, rng: np.random.Generator, probability: float = 0.1) -> Genes:
        """Change each gene with the given probability to another value of its range, canonically."""
        rows = np.array(genes, copy=True)
        spans = self.highs - self.lows
        # One number decides whether a gene moves and, where it does, by how much: it is uniform there.
        drawn = rng.random(rows.shape)
        steps = 1 + np.minimum(drawn * (spans / max(probability, 1e-12)), spans - 1).astype(np.int16)
        moved = self.lows + (rows - self.lows + steps) % (spans + 1)
        return self.canonical(np.where(drawn < probability, moved, rows))

    def crossover(self, first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
        """Uniform crossover: each gene from either parent with equal chance, (n, genes), canonical."""
        return self.canonical(np.where(rng.random(first.shape) < 0.5, first, second))

    def lower(self, arch: Arch) -> LayerGraph:
        """The deployed network of `arch`. Raises SpaceError when it is not a member."""
        self.encode([arch])
        return lower(self, arch)

    def largest(self) -> Arch:
        """The member with the most of everything: highest rate, all sensors, widest, deepest."""
        return self._extreme(-1)

    def smallest(self) -> Arch:
        """The member with the least of everything."""
        return self._extreme(0)

    def _extreme(self, end: int) -> Arch:
        pick = max if end else min

        def block_of(choices: PositionChoices) -> Block:
            kinds = list(choices.kinds)
            return [block for block in choices.options if block.kind == kinds[0 if end else -1]][end]

        stages = tuple(
            Stage(
                pick(stage.widths),
                tuple(map(block_of, stage.blocks[: len(stage.blocks) if end else stage.min_depth])),
            )
            for stage in self.stages
        )
        sensors = pick(self.sensors, key=lambda name: SENSOR_CHANNELS[name])
        return Arch(pick(self.rates), sensors, pick(self.stem_widths), stages, self.reads)

    def receptive_field_s(self, arch: Arch) -> float:
        """Seconds of signal that one output position before pooling can see; all of it in spectra."""
        if self.reads == "spectrum":
            return float(self.window_s)
        stem = self.stem(arch.rate_hz)
        field, step = float(stem.kernel), float(stem.stride)
        for stage, choices in zip(arch.stages, self.stages, strict=True):
            for position, block in enumerate(stage.blocks):
                field += (block.kernel - 1) * block.dilation * step
                step *= choices.stride if position == 0 else 1
        return field / arch.rate_hz


def shipped_spaces() -> list[str]:
    """Names of the spaces that come with the program."""
    return shipped_names("spaces")


def load_space(
    name_or_path: str | Path, *, window_s: int = 8, head: Head = "heart_rate_head", outputs: int | None = None
) -> SearchSpace:
    """Read a search space from YAML: a shipped name or a path. `outputs` are by default 96, or a spectrum's.

    Raises SpaceError naming the file and field of anything unknown, missing or ill-typed.
    """
    path = named_or_shipped(name_or_path, "spaces")
    try:
        content = read_yaml(path)
    except UndecodableError as error:
        raise SpaceError(f"search space {error}") from None
    except DocumentError as error:
        reason = f"search space {error}" if path.exists() else f"search space {name_or_path}: no such file"
        raise SpaceError(f"{reason}; shipped spaces: {', '.join(shipped_spaces())}") from None
    if not isinstance(content, dict):
        raise SpaceError(f"search space {path}: expected fields, found {type(content).__name__}")
    own = POSITIONS if content.get("reads") == "spectrum" else 96
    try:
        space = SearchSpace.model_validate({**content, "window_s": window_s, "head": head, "outputs": outputs or own})
        for arch in (space.smallest(), space.largest()):
            lower(space, arch)
        return space
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise SpaceError(f"search space {path}, {field}: {reason}") from None
    except GraphError as error:
        raise SpaceError(f"search space {path}: its networks cannot be built: {error}") from None
