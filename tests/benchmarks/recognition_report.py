"""`make report-biometrics`: the scores and the errors of generated fingers, as two pictures."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from epassport_sandbox.fingerprints import SANDBOX_THRESHOLD
from tests.benchmarks.recognition import DESK, HARDER, Measured, measure

FOLDER = Path(__file__).parents[2] / "build" / "biometrics"
FINGERS = 200
CAVEAT = "Generated fingers: a guard against regressions. Says nothing about accuracy on people."
NAMES = {DESK: "desk captures (hardness 1.0)", HARDER: "poor captures (hardness 1.8)"}
COLOURS = {DESK: "#0b4f8a", HARDER: "#c2410c"}
TICKS = (0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


def main() -> int:
    """0 once both pictures are written; what they show is printed too."""
    mpl.use("agg")
    both = [asyncio.run(measure(hardness, FINGERS)) for hardness in (DESK, HARDER)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, figure in (("det.png", det(both)), ("scores.png", histograms(both))):
        figure.savefig(FOLDER / name, dpi=100)
        print(FOLDER / name)
    for each in both:
        print(
            f"{NAMES[each.hardness]}: {len(each.genuine)} genuine, {len(each.impostor)} impostor"
            f" scores; lowest genuine {each.genuine.min():.0f}, highest impostor"
            f" {each.impostor.max():.0f}; equal error rate {each.equal_error_rate():.2%}"
        )
    print(CAVEAT)
    return 0


def det(both: Sequence[Measured]) -> Figure:
    """Detection error trade-off: both errors on normal-deviate scales (ISO/IEC 19795-1)."""
    figure = Figure(figsize=(7, 6.4), layout="constrained")
    axes = figure.subplots()
    for each in both:
        _, matched, missed = each.rates()
        least = 0.5 / len(each.impostor), 0.5 / len(each.genuine)  # no error seen is not none
        axes.plot(
            ndtri(np.clip(matched, least[0], 1 - least[0])),
            ndtri(np.clip(missed, least[1], 1 - least[1])),
            drawstyle="steps-post",
            color=COLOURS[each.hardness],
            label=f"{NAMES[each.hardness]}, EER {each.equal_error_rate():.2%}",
        )
    ends = ndtri((TICKS[0] / 3, 0.5))
    axes.plot(ends, ends, color="#9aa5b1", linewidth=0.8, linestyle=":", label="equal errors")
    for axis, word in ((axes.xaxis, "false matches"), (axes.yaxis, "false non-matches")):
        axis.set_ticks(ndtri(TICKS), [f"{100 * tick:g} %" for tick in TICKS])
        axis.set_label_text(f"share of {word}")
    axes.set(xlim=ends, ylim=ends, title="Detection error trade-off")
    return _finished(figure, axes)


def histograms(both: Sequence[Measured]) -> Figure:
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    bins = np.arange(0, max(each.genuine.max() for each in both) + 10, 10)
    for axes, each in zip(figure.subplots(len(both), 1, sharex=True), both, strict=True):
        colour = COLOURS[each.hardness]
        for scores, name, style in (
            (each.impostor, "two fingers", {"color": "#9aa5b1"}),
            (each.genuine, "one finger", {"color": colour, "alpha": 0.75}),
        ):
            weights = np.full(len(scores), 1 / len(scores))
            axes.hist(scores, bins, weights=weights, label=f"{name} ({len(scores):,})", **style)
        axes.axvline(SANDBOX_THRESHOLD, color="black", linewidth=1, linestyle="--")
        axes.text(SANDBOX_THRESHOLD + 5, 0.3, "the sandbox's threshold", fontsize=9)
        axes.set(yscale="log", ylim=(5e-6, 1), ylabel="share", title=NAMES[each.hardness])
        _finished(figure, axes)
    axes.set_xlabel("score")
    return figure


def _finished(figure: Figure, axes: Axes) -> Figure:
    axes.grid(visible=True, color="#e3e8ee", linewidth=0.6)
    axes.legend(loc="upper right", frameon=False)
    figure.supxlabel(CAVEAT, fontsize=9, color="#5a6672")
    return figure


if __name__ == "__main__":
    sys.exit(main())
