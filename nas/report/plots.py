"""The pictures of a run, from plain data: training curves, front, subnet and its costs, error per subject."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

INK, MUTED, GRID = "#22272e", "#6b7480", "#dfe3e8"
BLUE, ORANGE, GREEN, RED, PURPLE = "#2563a8", "#d9741a", "#2c8a57", "#c0392b", "#7a4fa3"
KIND_COLOURS = {"conv": BLUE, "depthwise": ORANGE, "add": MUTED, "fully_connected": GREEN}


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of width x height inches with one quiet pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    quiet(axes)
    return figure, axes


def quiet(axes: Axes) -> None:
    """Take the box off and put a light grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page, without XML prologue, the same bytes for the same data."""
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "ppg-nas"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def training_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], error_name: str) -> Figure:
    """Validation error per epoch of each training, one panel each."""
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panels = figure.subplots(1, len(histories), squeeze=False)[0]
    for axes, (name, history) in zip(panels, histories.items(), strict=True):
        quiet(axes)
        epochs = [entry["epoch"] for entry in history]
        axes.plot(epochs, [entry["loss"] for entry in history], color=MUTED, label="loss, training")
        axes.set_xlabel("epoch")
        axes.set_title(name, loc="left", fontsize=11, color=INK)
        axes.set_ylabel("loss", color=MUTED)
        errors = axes.twinx()
        errors.spines[["top", "left"]].set_visible(False)
        curves = sorted({key for entry in history for key in entry.get("validation", {})})
        for curve, colour in zip(curves, (BLUE, ORANGE, GREEN, RED, PURPLE), strict=False):
            points = [
                (entry["epoch"], entry["validation"][curve])
                for entry in history
                if curve in entry.get("validation", {})
            ]
            errors.plot(*zip(*points, strict=True), color=colour, marker=".", label=f"{curve}, validation")
        errors.set_ylabel(error_name)
        errors.set_ylim(bottom=0)
        handles = axes.get_legend_handles_labels()[0] + errors.get_legend_handles_labels()[0]
        errors.legend(handles=handles, frameon=False, fontsize=8, loc="upper right")
    return figure


def _front_members(figure: Figure, axes: Axes, front: Sequence[Mapping[str, Any]]) -> None:
    """Members of a front with their intervals, coloured by flash."""
    latency, error = _column(front, "latency_ms"), _column(front, "error")
    spans = np.abs(np.stack([_column(front, "error_low"), _column(front, "error_high")]) - error)
    axes.errorbar(latency, error, yerr=spans, fmt="none", ecolor=GRID, elinewidth=1, zorder=1)
    shown = axes.scatter(
        latency,
        error,
        c=_column(front, "flash_kb"),
        cmap="viridis",
        s=38,
        zorder=3,
        edgecolors="white",
        linewidths=0.6,
        label="Pareto front",
    )
    figure.colorbar(shown, ax=axes, label="flash, KB")
    alike = [row for row in front if row.get("quicker_tie")]
    axes.scatter(
        _column(alike, "latency_ms"),
        _column(alike, "error"),
        s=11,
        color="white",
        zorder=4,
        edgecolors="#5d6773",
        linewidths=0.5,
        label="no surer than a quicker one" if alike else None,
    )


def pareto_front(
    rows: Sequence[Mapping[str, Any]],
    front: Sequence[Mapping[str, Any]],
    chosen_id: str | None,
    budgets: Mapping[str, float | None],
    error_name: str,
) -> Figure:
    """Error over latency of every evaluated subnet; the front with its intervals; colour is flash.

    Rows hold id, error, error_low, error_high, latency_ms and flash_kb; a member with `quicker_tie` has an
    error that cannot be told from a quicker member's, and wears a white dot.
    """
    figure, axes = new_axes(8, 4.4)
    others = [row for row in rows if row["id"] not in {member["id"] for member in front}]
    axes.scatter(
        [row["latency_ms"] for row in others],
        [row["error"] for row in others],
        s=14,
        color="#c3cad3",
        label="evaluated",
        zorder=2,
    )
    if front:
        _front_members(figure, axes, front)
    for row in front:
        if row["id"] == chosen_id:
            axes.scatter(
                [row["latency_ms"]],
                [row["error"]],
                s=150,
                facecolors="none",
                edgecolors=RED,
                linewidths=1.8,
                zorder=4,
                label=f"chosen: {chosen_id}",
            )
    limit = budgets.get("latency_ms")
    if limit is not None and rows and limit < 1.6 * max(row["latency_ms"] for row in rows):
        axes.axvline(limit, color=RED, linewidth=1, linestyle="--", label=f"budget: {limit:g} ms")
    axes.set_xlabel("latency of one window, ms (predicted)")
    axes.set_ylabel(f"{error_name}, validation subjects")
    axes.legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(0.94, 1.0))
    return figure


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([row[name] for row in rows], float)


def subnet_drawing(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """The deployed network, a bar per operation: its share of the cycles, shape, cycles and bytes.

    Layers hold name, kind, length_out, channels_out, detail, cycles, flash_bytes and the names they
    read (`sources`); a residual is drawn as an arc from what it reads to where it is added.
    """
    figure = Figure(figsize=(9, 0.31 * len(layers) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    total = max(1, sum(layer["cycles"] for layer in layers))
    widest = max(layer["cycles"] for layer in layers) / total
    rows = {layer["name"]: -index for index, layer in enumerate(layers)}
    headings = (
        (0.02, "operation", "left"),
        (0.27, "kind", "left"),
        (0.47, "output", "left"),
        (0.615, "cycles", "right"),
        (0.7, "flash, B", "right"),
        (0.73, "share", "left"),
    )
    for x, text, side in headings:
        axes.text(x, 1.1, text, color=MUTED, fontsize=8.5, va="center", ha=side)
    for layer in layers:
        y = rows[layer["name"]]
        colour = KIND_COLOURS.get(layer["kind"], PURPLE)
        axes.text(0.02, y, layer["name"], fontsize=8.5, color=INK, va="center")
        axes.text(0.27, y, f"{layer['kind']} {layer['detail']}".strip(), fontsize=8.5, color=colour, va="center")
        shape = f"{layer['length_out']} x {layer['channels_out']}"
        axes.text(0.47, y, shape, fontsize=8.5, color=INK, va="center")
        axes.text(0.615, y, f"{layer['cycles']:,}", fontsize=8.5, color=INK, va="center", ha="right")
        axes.text(0.7, y, f"{layer['flash_bytes']:,}", fontsize=8.5, color=INK, va="center", ha="right")
        share = layer["cycles"] / total
        length = 0.19 * share / widest
        box = FancyBboxPatch(
            (0.73, y - 0.28),
            max(length, 0.001),
            0.56,
            boxstyle="round,pad=0,rounding_size=0.004",
            facecolor=colour,
            edgecolor="none",
        )
        axes.add_patch(box)
        axes.text(0.735 + length, y, f"{100 * share:.1f} %", fontsize=8, color=MUTED, va="center")
        if layer["kind"] == "add":
            start = rows[layer["sources"][0]]
            style = {"arrowstyle": "->", "color": MUTED, "connectionstyle": "arc3,rad=0.35", "linewidth": 0.9}
            axes.annotate("", xy=(0.015, y), xytext=(0.015, start), arrowprops=style)
    axes.set_xlim(-0.03, 1.0)
    axes.set_ylim(-len(layers) + 0.3, 1.6)
    return figure


def error_per_subject(errors: Mapping[str, Mapping[str, float]], error_name: str) -> Figure:
    """A group of bars per held-out subject, one bar per estimator: estimator -> subject -> value."""
    subjects = sorted({subject for values in errors.values() for subject in values})
    figure, axes = new_axes(max(7.0, 0.55 * len(subjects) + 2.5), 3.5)
    width = 0.8 / max(1, len(errors))
    colours = (PURPLE, BLUE, ORANGE, "#b9c0c9", GREEN, RED)
    for index, ((name, values), colour) in enumerate(zip(errors.items(), colours, strict=False)):
        places = np.arange(len(subjects)) + (index - (len(errors) - 1) / 2) * width
        axes.bar(places, [values.get(s, np.nan) for s in subjects], width * 0.92, color=colour, label=name)
    axes.set_xticks(np.arange(len(subjects)), subjects, rotation=30, ha="right", fontsize=8)
    axes.set_ylabel(error_name)
    axes.grid(False, axis="x")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def rate_trace(
    time_s: NDArray,
    reference: NDArray,
    estimate: NDArray,
    valid: NDArray,
    title: str,
    measured_with: str,
    axis: str = "heart rate, BPM",
) -> Figure:
    """One recording: the estimate over the reference, if there is one, invalid windows drawn hollow."""
    figure, axes = new_axes(9, 2.8)
    if np.isfinite(reference).any():
        axes.plot(time_s, reference, color=INK, linewidth=1.6, label=f"reference ({measured_with})")
    trusted = valid.astype(bool)
    axes.scatter(time_s[trusted], estimate[trusted], s=9, color=BLUE, label="int8 estimate", zorder=3)
    axes.scatter(
        time_s[~trusted],
        estimate[~trusted],
        s=12,
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=0.9,
        label="called invalid",
        zorder=3,
    )
    axes.set_xlabel("time, s")
    axes.set_ylabel(axis)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.legend(frameon=False, fontsize=8, ncols=3)
    return figure


def bland_altman(reference: NDArray, estimate: NDArray, unit: str = "BPM") -> Figure:
    """Difference over mean of estimate and reference with its limits of agreement (Bland, Altman 1986)."""
    figure, axes = new_axes(4.6, 3.2)
    difference, mean = estimate - reference, (estimate + reference) / 2
    axes.scatter(mean, difference, s=5, color=BLUE, alpha=0.35, linewidths=0)
    bias, spread = float(np.mean(difference)), 1.96 * float(np.std(difference))
    for value, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
        axes.axhline(value, color=RED, linewidth=1, linestyle=style)
        axes.annotate(
            f"{value:+.1f}",
            (1, value),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            color=RED,
            ha="right",
            va="bottom",
        )
    axes.set_xlabel(f"mean of estimate and reference, {unit}")
    axes.set_ylabel(f"difference, {unit}")
    return figure


def risk_coverage(curves: Mapping[str, tuple[NDArray, NDArray]], unit: str = "BPM") -> Figure:
    """Mean error of the most confident share of windows; curves are name -> (coverage, risk)."""
    figure, axes = new_axes(4.6, 3.2)
    for (name, (coverage, risk)), colour in zip(curves.items(), (BLUE, ORANGE, GREEN, PURPLE), strict=False):
        axes.plot(100 * coverage, risk, color=colour, label=name)
    axes.set_xlabel("windows kept, most confident first, %")
    axes.set_ylabel(f"mean absolute error, {unit}")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return figure
