"""Neighbours against scikit-learn's, combinations against their definition, dimensions against what was drawn."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from studio.core.checkpoints import CheckpointError
from studio.latent.convex import combine, draw, intrinsic_dimension, neighbourhood_size, neighbours, read_bank
from studio.models.xgan import Codes
from studio.train.export import write_checkpoint
from tests.train.small import store_of


@pytest.fixture
def codes():
    return np.random.default_rng(0).standard_normal((300, 6)).astype(np.float32)


def test_neighbours_are_those_of_an_exact_search(codes):
    queries = np.random.default_rng(1).standard_normal((20, 6)).astype(np.float32)
    expected, rows = NearestNeighbors(n_neighbors=9).fit(codes).kneighbors(queries)
    index, distance = neighbours(codes, queries, 9)
    assert np.array_equal(index, rows) and np.allclose(distance, expected, atol=1e-5)


def test_a_code_is_its_own_nearest_neighbour(codes):
    index, distance = neighbours(codes + 100, codes[:5] + 100, 2)
    assert index[:, 0].tolist() == [0, 1, 2, 3, 4] and np.all(distance[:, 0] == 0) and np.all(distance[:, 1] > 0)


@pytest.mark.parametrize("m", [0, 301])
def test_there_are_only_so_many_neighbours(codes, m):
    with pytest.raises(ValueError, match="1 to 300 neighbours"):
        neighbours(codes, codes[:1], m)


def test_all_codes_can_be_neighbours(codes):
    assert sorted(neighbours(codes, codes[:1], 300)[0][0].tolist()) == list(range(300))


def test_k_of_m_are_drawn_with_weights_of_a_simplex(codes):
    index, weights = draw(codes, codes[:40], 12, 5, np.random.default_rng(0))
    near, _ = neighbours(codes, codes[:40], 12)
    assert index.shape == weights.shape == (40, 5)
    assert all(len(set(row)) == 5 and set(row) <= set(allowed) for row, allowed in zip(index, near, strict=True))
    assert np.allclose(weights.sum(1), 1) and weights.min() > 0
    assert len({tuple(row) for row in weights}) == 40
    # In many draws each of the m is chosen as often as any other.
    index, _ = draw(codes, np.repeat(codes[:1], 4000, 0), 12, 5, np.random.default_rng(0))
    _, counts = np.unique(index, return_counts=True)
    assert len(counts) == 12 and np.abs(counts / 4000 - 5 / 12).max() < 0.04


def test_weights_are_uniform_numbers_over_their_sum(codes):
    """Of two, the first one's share is above 3/4 as often as u / (u + v) is: 1/6."""
    _, weights = draw(codes, np.repeat(codes[:1], 20_000, 0), 2, 2, np.random.default_rng(0))
    assert (weights[:, 0] > 0.75).mean() == pytest.approx(1 / 6, abs=0.01)


@pytest.mark.parametrize("k", [0, 4])
def test_no_more_are_combined_than_there_are(codes, k):
    with pytest.raises(ValueError, match="1 to 3 of 3"):
        draw(codes, codes[:1], 3, k, np.random.default_rng(0))


def test_a_combination_is_the_weighted_mean_of_what_was_drawn(codes):
    index, weights = draw(codes, codes[:8], 10, 4, np.random.default_rng(3))
    expected = np.stack([(w[:, None] * codes[i]).sum(0) for i, w in zip(index, weights, strict=True)])
    found = combine(codes, codes[:8], 10, 4, np.random.default_rng(3))
    assert found.dtype == np.float32 and np.allclose(found, expected, atol=1e-6)


def test_spread_leads_from_the_query_through_the_combination_and_beyond(codes):
    at = {spread: combine(codes, codes[:8], 10, 4, np.random.default_rng(3), spread) for spread in (0, 0.5, 1, 2)}
    assert np.array_equal(at[0], codes[:8])
    assert np.allclose(at[0.5], (at[0] + at[1]) / 2, atol=1e-6) and np.allclose(at[2], 2 * at[1] - at[0], atol=1e-5)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_of_a_sphere(dimension):
    """In a space of 20 dimensions, turned at random."""
    random = np.random.default_rng(0)
    points = random.standard_normal((3000, dimension + 1))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    turned = points @ np.linalg.qr(random.standard_normal((20, dimension + 1)))[0].T
    assert intrinsic_dimension(turned) == pytest.approx(dimension, rel=0.1)


@pytest.mark.parametrize("dimension", [1, 3, 8])
def test_the_dimension_of_a_linear_subspace(dimension):
    random = np.random.default_rng(1)
    points = random.uniform(size=(3000, dimension)) @ random.standard_normal((dimension, 30)) + 7
    assert intrinsic_dimension(points) == pytest.approx(dimension, rel=0.12)


def test_the_estimate_is_the_likelihoods_maximum(codes):
    """Against the definition, with scikit-learn's distances."""
    distances, _ = NearestNeighbors(n_neighbors=5).fit(codes).kneighbors(codes)
    t = distances[:, 1:]
    expected = np.mean([np.mean(1 / np.mean([np.log(t[:, k - 1] / t[:, j]) for j in range(k - 1)], 0)) for k in (3, 4)])
    assert intrinsic_dimension(codes, 3, 4) == pytest.approx(expected, rel=1e-4)


def test_repeated_codes_change_nothing(codes):
    assert intrinsic_dimension(np.repeat(codes, 3, 0)) == pytest.approx(intrinsic_dimension(codes), rel=1e-5)


def test_too_few_codes_have_no_dimension(codes):
    with pytest.raises(ValueError, match="more than 20 different codes, not 20"):
        intrinsic_dimension(np.repeat(codes[:20], 5, 0))


def test_there_are_two_neighbours_a_dimension():
    assert [neighbourhood_size(s) for s in (0.2, 1, 24.3)] == [1, 2, 49]


@pytest.fixture
def bank_card(tmp_path):
    torch.manual_seed(0)
    bank = Codes(7, 3, 4)
    for tensor in (bank.codes, bank.mean, bank.axes):
        tensor.normal_()
    bank.places.copy_(bank(bank.codes))
    bank.labels.copy_(torch.arange(7) % 2)
    fields = {"family": "xgan", "task": "codes", "resolution": 8, "labels": ("a", "b")}
    config = {"part": "codes", "count": 7, "latent": 3, "m": 4}
    write_checkpoint(tmp_path / "export", "xgan-codes", bank.state_dict(), config=config, **fields)
    store = store_of(tmp_path / "pretrained", tmp_path / "export")
    return bank, store, store.registry.card("xgan-codes")


def test_a_bank_is_read_from_its_file(bank_card):
    made, store, card = bank_card
    assert store.verify(card).state == "ok"
    bank = read_bank(store, card)
    assert np.allclose(bank.codes, made.codes, atol=2e-3) and bank.codes.dtype == np.float32
    assert (bank.labels.tolist(), bank.names, bank.m) == ([0, 1, 0, 1, 0, 1, 0], ("a", "b"), 4)
    assert np.allclose(bank.place(bank.codes), bank.places, atol=1e-2)


def test_a_bank_that_is_not_there_is_named(bank_card):
    _, store, card = bank_card
    (store.embedded_dir / card.file).unlink()
    with pytest.raises(CheckpointError, match="xgan-codes"):
        read_bank(store, card)
