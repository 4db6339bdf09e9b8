"""Train the filter: `python -m biometrics.engine.filter_training TEMPLATES.npz`.

The file holds `octets` (templates one behind another), their `lengths`, and `fingers` (whose
each is, a number).
Two steps: principal components, which keep what varies at all, then linear discriminants, which
keep what varies between fingers rather than between impressions of one. The model that lies
here was trained on generated fingers, so production searches exhaustively until it has been
trained on consented pilot data.
"""

import argparse
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.filter import LENGTH, MODEL, Vectors, histogram
from biometrics.engine.minutiae import minutiae_of

COMPONENTS = 300
RIDGE = 0.3  # of the mean within-finger variance: some hundred fingers do not fill the space


def train(histograms: Vectors, fingers: NDArray[np.integer]) -> tuple[Vectors, Vectors]:
    """(mean, projection)"""
    mean = histograms.mean(axis=0)
    _, _, axes = np.linalg.svd(histograms - mean, full_matrices=False)
    axes = axes[:COMPONENTS].T
    reduced = (histograms - mean) @ axes
    names, whose = np.unique(fingers, return_inverse=True)
    centres = np.stack([reduced[whose == n].mean(axis=0) for n in range(len(names))])
    inside = reduced - centres[whose]
    within = inside.T @ inside / len(reduced)
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    between = np.cov(centres.T)
    whiten = np.linalg.inv(np.linalg.cholesky(within))
    values, directions = np.linalg.eigh(whiten @ between @ whiten.T)
    discriminants = whiten.T @ directions[:, np.argsort(values)[::-1][:LENGTH]]
    return mean.astype(np.float32), (axes @ discriminants).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="biometrics.engine.filter_training")
    parser.add_argument("templates", help="an .npz with `octets`, `lengths` and `fingers`")
    given = np.load(parser.parse_args().templates)
    templates = np.split(given["octets"], np.cumsum(given["lengths"])[:-1])
    histograms = np.stack([histogram(minutiae_of(each.tobytes())) for each in templates])
    mean, projection = train(histograms, given["fingers"])
    with (files("biometrics.engine") / MODEL).open("wb") as file:  # type: ignore[call-overload]
        np.savez_compressed(
            file, mean=mean.astype(np.float16), projection=projection.astype(np.float16)
        )


if __name__ == "__main__":
    main()
