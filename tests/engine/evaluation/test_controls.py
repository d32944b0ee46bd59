"""Controls, doses and replicates: closed forms, and what a screen without any effect must give."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.controls import (
    between_controls,
    distance_from_controls,
    dose_correlations,
    replicability,
    z_prime,
)


def test_a_usual_control_is_at_distance_1():
    values = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1], [3, 4], [np.nan, 0]])
    controls = np.array([True, True, True, True, False, False])
    found = distance_from_controls(values, controls)
    np.testing.assert_allclose(found[:5], [1, 1, 1, 1, 5])
    assert np.isnan(found[5])


def test_position_is_0_at_the_negative_and_1_at_the_positive_controls():
    values = np.array([[0.0, 1], [0, -1], [10, 2], [10, -2], [5, 77], [20, 0]])
    negative, positive = np.arange(6) < 2, (np.arange(6) == 2) | (np.arange(6) == 3)
    np.testing.assert_allclose(between_controls(values, negative, positive), [0, 0, 1, 1, 0.5, 2])


def test_the_way_of_a_group_comes_from_the_others():
    """A positive control that stands alone in its direction does not see itself."""
    values = np.array([[0.0, 0], [1, 0], [0, 0], [0, 1]])
    negative, positive = np.array([1, 0, 1, 0], bool), np.array([0, 1, 0, 1], bool)
    found = between_controls(values, negative, positive, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found, [0, 0, 0, 0])
    alone = between_controls(values[:2], negative[:2], positive[:2], np.array([0, 1]))
    assert np.isnan(alone).all()


def test_z_prime_by_hand():
    assert z_prime(np.array([-1.0, 1.0]), np.array([19.0, 21.0])) == pytest.approx(1 - 3 * 2 * 2**0.5 / 20)
    with pytest.raises(InputError, match="two controls of each kind"):
        z_prime(np.array([1.0]), np.array([2.0, 3.0]))


def test_dose_correlation_is_of_ranks_and_by_compound():
    doses = np.array([1, 10, 100, 1, 10, 100, 1, np.nan])
    found = dose_correlations(np.array([0, 1, 50, 3, 2, 1, 9, 9.0]), doses, np.array([*"aaabbbcc"]))
    assert found == {"a": pytest.approx(1), "b": pytest.approx(-1)}


def test_replicates_of_real_effects_replicate_and_chance_does_not():
    random = np.random.default_rng(0)
    treatments = np.repeat(np.arange(60), 4)
    noise = random.normal(size=(240, 50))
    effects = random.normal(size=(60, 50))[treatments]
    assert replicability(noise + 2 * effects, treatments).share == 1
    assert replicability(noise, treatments).share < 0.15  # 5 % are expected
    assert replicability(noise + 2 * effects, treatments).similarity.shape == (60,)
    with pytest.raises(InputError, match="replicates"):
        replicability(noise, np.arange(240))
