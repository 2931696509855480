"""Logistic regression over features scaled by their naive Bayes log-count ratios (Wang and Manning, 2012)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from scipy import sparse

SMOOTHING: Final = 0.02
TOLERANCE: Final = 1e-2


class Weights(NamedTuple):
    """One weight a feature, and a constant."""

    weights: np.ndarray
    bias: float

    def scores(self, matrix: sparse.csr_matrix) -> np.ndarray:
        """The log odds of each row."""
        scored: np.ndarray = matrix @ self.weights + self.bias
        return scored


def fit(matrix: sparse.csr_matrix, labels: np.ndarray, importance: np.ndarray, strength: float) -> Weights:
    """Fit weights; `strength` is the inverse of the regularisation (larger follows the rows more closely)."""
    ratio = np.log(_shares(matrix, importance * (labels == 1)) / _shares(matrix, importance * (labels == 0)))
    regression = LogisticRegression(C=strength, solver="liblinear", tol=TOLERANCE, random_state=0)
    regression.fit(matrix.multiply(ratio[None, :]).tocsr(), labels, sample_weight=importance)
    return Weights(ratio * regression.coef_[0], float(regression.intercept_[0]))


def _shares(matrix: sparse.csr_matrix, importance: np.ndarray) -> np.ndarray:
    counts = SMOOTHING + np.asarray(matrix.T @ importance).ravel()
    shares: np.ndarray = counts / counts.sum()
    return shares
