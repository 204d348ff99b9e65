from dataclasses import replace

import numpy as np
import pytest

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
from pbpk_hybrid.learn.transformer.batch import DESCRIPTORS, SITES
from pbpk_hybrid.learn.transformer.corpus import _occasions
from pbpk_hybrid.learn.transformer.corpus_compartmental import draw_typical
from pbpk_hybrid.learn.transformer.corpus_designs import Schedule
from pbpk_hybrid.learn.transformer.corpus_people import People
from pbpk_hybrid.learn.transformer.corpus_prior import clearance_and_volume, compound_rows, pool
from pbpk_hybrid.learn.transformer.corpus_whole_body import _model_errors

OPTIONS = CorpusOptions(batch_size=64, doses=6)


@pytest.fixture(scope="module")
def batches():
    corpus = Corpus(replace(OPTIONS, context=1.0))
    return [corpus.batch(1, step) for step in range(6)]


def arrays(batch):
    return {k: v for k, v in vars(batch).items() if isinstance(v, np.ndarray)}


def test_a_step_of_a_seed_is_always_the_same_batch():
    a, b = Corpus(OPTIONS).batch(3, 7), Corpus(OPTIONS).batch(3, 7)
    assert all(
        np.array_equal(v, arrays(b)[k], equal_nan=v.dtype.kind == "f") for k, v in arrays(a).items()
    )
    other = Corpus(OPTIONS).batch(3, 8)
    assert a.query_value.shape != other.query_value.shape or not np.array_equal(
        a.query_value, other.query_value
    )


def test_concentrations_are_positive_and_finite(batches):
    for b in batches:
        for value, mask in ((b.obs_value, b.obs_mask), (b.query_value, b.query_mask)):
            assert np.all(np.isfinite(value[mask])) and np.all(value[mask] > 0)


def test_samples_come_after_the_first_dose(batches):
    for b in batches:
        assert np.all(b.obs_time[b.obs_mask] > 0) and np.all(b.dose_time[:, 0] == 0)


def test_most_of_what_is_asked_lies_after_what_is_observed(batches):
    later, count = 0, 0
    for b in batches:
        last = np.where(b.obs_mask, b.obs_time, -1.0).max(axis=1, initial=-1.0)
        later += int((b.query_mask & (b.query_time > last[:, None])).sum())
        count += int(b.query_mask.sum())
    assert 0.6 < later / count < 0.98


def test_patients_of_a_group_see_each_other_and_never_themselves(batches):
    for b in batches:
        who, others = np.nonzero(b.context >= 0)
        seen = b.context[who, others]
        assert np.all(seen // OPTIONS.group == who // OPTIONS.group)
        assert np.all(seen != who)


def test_a_compound_is_told_with_its_mechanistic_curve_or_not_at_all(batches):
    for b in batches:
        told = np.isfinite(b.descriptors[:, DESCRIPTORS.index("saturable")])
        asked = b.query_mask & np.isfinite(b.query_reference)
        alone = np.ones(len(b), bool) if b.context is None else (b.context < 0).all(axis=1)
        assert np.array_equal(asked.any(axis=1)[alone], (told & b.query_mask.any(axis=1))[alone])


def test_the_mechanistic_curve_is_near_the_truth_but_not_it(batches):
    parts = []
    for b in batches:
        ok = (
            b.query_mask
            & np.isfinite(b.query_reference)
            & ~b.query_censored
            & (b.query_reference > 0)
        )
        parts.append(np.log(b.query_value[ok] / b.query_reference[ok]))
    error = np.concatenate(parts)
    assert abs(np.median(error)) < 0.4 and 0.2 < np.percentile(np.abs(error), 68) < 1.2


def test_only_whole_body_patients_are_asked_about_organs():
    batch = Corpus(OPTIONS).batch(1, 0, kind="compartmental")
    assert np.all(batch.query_site == 0)
    batch = Corpus(OPTIONS).batch(1, 0, kind="whole_body")
    assert 0.03 < np.mean(batch.query_site > 1) < 0.3 and batch.query_site.max() < len(SITES)


def test_kinds_left_out_are_never_drawn():
    corpus = Corpus(replace(OPTIONS, regimens=("oral", "repeated")))
    for step in range(3):
        b = corpus.batch(1, step, doses=6)
        assert np.all(b.dose_oral[b.dose_mask]) and np.all(b.dose_duration == 0)
        sizes = np.where(b.dose_mask, b.dose_amount, b.dose_amount[:, :1])
        assert np.allclose(sizes, b.dose_amount[:, :1])
        gaps = np.diff(b.dose_time, axis=1)
        both = b.dose_mask[:, 1:]
        assert np.allclose(np.where(both, gaps, gaps[:, :1]), gaps[:, :1])


def test_held_out_compounds_are_near_other_rows_of_the_table():
    train, test = set(compound_rows("train")), set(compound_rows("test"))
    assert len(train) > 800 and len(test) > 80 and not train & test


def test_the_pool_has_every_species():
    assert all(len(rows) >= 100 for rows in pool().rows.values())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"batch_size": 33}, "batch_size"),
        ({"group": 3}, "group"),
        ({"group": 128}, "group"),
        ({"regimens": ("weekly",)}, "regimens"),
        ({"regimens": ("repeated",)}, "regimens"),
        ({"observations": 0}, "observations"),
    ],
)
def test_settings_that_cannot_be_are_named(change, field):
    with pytest.raises(InputError, match=field):
        CorpusOptions(**change)


def test_an_unknown_species_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'monkey'"):
        CorpusOptions(species=("monky",))


def test_fast_drugs_and_slow_tails_are_no_rarity():
    rng = np.random.default_rng(0)
    p = draw_typical(rng, 3000, clearance_and_volume())
    residence = p.volume_steady_state / p.clearance
    assert p.clearance.max() <= 6.0 + 1e-9 and np.mean(p.clearance > 1.5) > 0.1
    assert residence.min() < 0.1 and np.mean(residence < 0.5) > 0.05
    assert residence.max() < 701.0
    rate = np.zeros((3000, 3, 3))
    rate[:, 0, 0] = -(p.clearance / p.volume + p.k12 + p.k13)
    rate[:, 0, 1], rate[:, 1, 0], rate[:, 1, 1] = p.k21, p.k12, -p.k21
    rate[:, 0, 2], rate[:, 2, 0], rate[:, 2, 2] = p.k31, p.k13, -p.k31
    value = np.linalg.eigvals(rate).real
    terminal = -np.where(np.abs(value) < 1e-12, -np.inf, value).max(axis=1)
    ratio = 1 / terminal / residence
    # human drugs of PKSmart: 1.02, 1.36, 2.9
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
    assert 0.99 < low < 1.1 and 1.15 < middle < 1.5 and 2.2 < high < 3.6


def test_some_people_are_in_another_class_and_tails_are_heavy():
    rng = np.random.default_rng(1)
    group = np.arange(64_000) // 64
    people = People(rng, group)
    slow = people.slow_class()
    share = (slow < 1).reshape(-1, 64).mean(axis=1)
    assert 0.05 < np.mean(share > 0) < 0.2 and share.max() < 0.7
    assert 0.09 < slow.min() < 0.2 and np.mean(slow == 1) > 0.9
    factor, sd = people.factor(0.5, 0.5)
    z = np.log(factor) / sd
    kurtosis = [np.mean(z[k] ** 4) / np.mean(z[k] ** 2) ** 2 for k in (people.heavy, ~people.heavy)]
    assert kurtosis[0] > 4.0 and kurtosis[1] == pytest.approx(3.0, abs=0.2)
    normal = People(rng, group, normal=True)
    assert not normal.heavy.any() and (normal.slow_class() == 1).all()


def test_groups_are_of_many_sizes_and_up_to_sixteen_others_are_shown():
    corpus = Corpus(CorpusOptions(batch_size=256, context=1.0, doses=2))
    shown = {corpus.batch(1, step).context.shape[1] for step in range(8)}
    assert max(shown) == 16 and len(shown) >= 3


def test_a_tenth_of_the_compounds_is_told_plainly_wrong():
    errors = _model_errors(np.random.default_rng(2), np.arange(4000), 3)
    far = sum(
        np.mean(np.abs(np.log(getattr(errors, name))) > np.log(5.0))
        for name in ("clearance", "kp", "ka", "fraction_absorbed")
    )
    assert 0.08 < far < 0.3


def test_doses_by_mouth_are_absorbed_to_another_extent_each_time():
    schedules = [Schedule(np.arange(3) / 3, np.ones(3), 0.0, oral, 0.3) for oral in (True, False)]
    drawn = _occasions(np.random.default_rng(3), schedules, np.arange(32) // 2, times=2)
    assert drawn.shape == (64, 3) and (drawn[16:] == 1).all()
    varies = (drawn[:16] != 1).any(axis=1)
    assert 0 < varies.sum() < 16 and 0.3 < drawn.min() and drawn.max() < 3.0
    single = [Schedule(np.zeros(1), np.ones(1), 0.0, True, 0.0)] * 2
    assert _occasions(np.random.default_rng(3), single, np.arange(32) // 2, times=1) is None
