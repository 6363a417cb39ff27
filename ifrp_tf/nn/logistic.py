"""Logistic regressions on features of frozen networks: what tells attributes of a face."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import minimize

from ifrp_tf.core.errors import DataError

PENALTY = 100.0
"""Of the squared coefficients of standardised features, against the sum over some thousand photographs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Logistic:
    """A logistic regression for each of several attributes.

    Attributes:
        mean: of each feature, [F].
        spread: standard deviation of each, [F].
        coefficients: [A, F + 1]; the last one is added as it is.
    """

    mean: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """[N, F] features to [N, A]: above 0 the attribute is there."""
        rows = (features - self.mean) / self.spread
        return rows @ self.coefficients[:, :-1].T + self.coefficients[:, -1]

    def accuracy(self, features: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Share of right verdicts on what is known of [N, A] vectors, [A]; NaN where nothing is."""
        known, right = vectors != 0, (self.logits(features) > 0) == (vectors > 0)
        with np.errstate(invalid="ignore"):
            return np.asarray((right & known).sum(axis=0) / known.sum(axis=0))

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as a dense layer on features as they are: kernel [F, A] and bias [A]."""
        kernel = self.coefficients[:, :-1] / self.spread
        return kernel.T, self.coefficients[:, -1] - kernel @ self.mean


def fit(
    features: np.ndarray,
    vectors: np.ndarray,
    *,
    penalty: float = PENALTY,
    balanced: bool = False,
    iterations: int = 10_000,
) -> Logistic:
    """A logistic regression for every attribute, all of them by one L-BFGS.

    Args:
        features: [N, F].
        vectors: [N, A] in {-1, 0, 1}; what is 0 is left out.
        penalty: half of it times the squared coefficients is added to the sum of the losses.
        balanced: an attribute's presence counts as much as its absence, however often each is known: for
            verdicts on pictures of one kind. Fitted as they come they lean to the more frequent answer, the
            more the fewer photographs there are.
        iterations: at most; where many features meet a strong penalty, some dozens are enough.

    Raises:
        DataError: an attribute is there, or not there, in all that are known.
    """
    if not ((vectors > 0).any(axis=0) & (vectors < 0).any(axis=0)).all():
        raise DataError("Expected photographs with and without each attribute. Received: one kind.")
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    rows = np.concatenate([(features - mean) / spread, np.ones((len(features), 1))], axis=1).astype(
        np.float64
    )
    truth, known = vectors.astype(np.float64), vectors != 0
    shape = (rows.shape[1], vectors.shape[1])
    weights = known.astype(np.float64)
    if balanced:
        counts = np.where(truth > 0, (truth > 0).sum(axis=0), (truth < 0).sum(axis=0))
        weights *= known.sum(axis=0) / 2 / counts

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(shape)
        margin = truth * (rows @ w)
        pull = penalty * w
        pull[-1] = 0.0
        slope = -truth * weights / (1.0 + np.exp(np.clip(margin, -60, 60)))
        value = (weights * np.logaddexp(0.0, -margin)).sum() + 0.5 * (w * pull).sum()
        return float(value), (rows.T @ slope + pull).ravel()

    found = minimize(
        loss,
        np.zeros(shape).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-10, "gtol": 1e-3, "maxiter": iterations},
    )
    return Logistic(mean, spread, found.x.reshape(shape).T)
