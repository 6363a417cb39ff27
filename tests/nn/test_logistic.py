import numpy as np
import pytest

from ifrp_tf.core.errors import DataError
from ifrp_tf.nn import logistic

random = np.random.default_rng(0)


def test_it_is_a_logistic_regression_on_what_is_known():
    features = random.normal(size=(300, 5)) * [1, 2, 3, 4, 5] + 7
    scores = features @ random.normal(size=(5, 2)) + random.normal(size=(300, 2)) * 3
    vectors = np.where(scores > np.median(scores, axis=0), 1, -1)
    vectors[:100, 1] = 0
    found = logistic.fit(features, vectors, penalty=2.0)
    linear = pytest.importorskip("sklearn.linear_model")
    for k, rows in enumerate((slice(None), slice(100, None))):
        x = (features[rows] - features.mean(0)) / features.std(0)
        other = linear.LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(x, vectors[rows, k])
        expected = np.append(other.coef_[0], other.intercept_)
        np.testing.assert_allclose(found.coefficients[k], expected, atol=2e-3)
        assert found.accuracy(features, vectors)[k] == pytest.approx(
            other.score(x, vectors[rows, k]), abs=0.01
        )
    assert np.isnan(found.accuracy(features[:9], 0 * vectors[:9])).all()
    rare = np.where(scores > np.diag(np.quantile(scores, [0.8, 0.4], axis=0)), 1, -1) * (vectors != 0)
    even = logistic.fit(features, rare, penalty=2.0, balanced=True)
    for k, rows in enumerate((slice(None), slice(100, None))):
        x = (features[rows] - features.mean(0)) / features.std(0)
        other = linear.LogisticRegression(C=0.5, tol=1e-8, max_iter=1000, class_weight="balanced")
        other.fit(x, rare[rows, k])
        expected = np.append(other.coef_[0], other.intercept_)
        np.testing.assert_allclose(even.coefficients[k], expected, atol=2e-3)
    kernel, bias = found.dense()
    np.testing.assert_allclose(features @ kernel + bias, found.logits(features), atol=1e-8)
    with pytest.raises(DataError, match="one kind"):
        logistic.fit(features, np.ones((300, 1)))
