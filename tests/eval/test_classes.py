"""Precision, recall and F1: to the last bit those of scikit-learn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from dozero.eval.classes import confusion, macro_f1, score_classes

LABELS = ("a", "b", "c", "d")
answers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80)


@given(answers)
def test_each_class_scores_as_in_scikit_learn(told):
    right, said = (np.array(column) for column in zip(*told, strict=True))
    matrix = confusion(right, said, 4)
    assert (matrix == confusion_matrix(right, said, labels=range(4))).all()
    precision, recall, f1, support = precision_recall_fscore_support(right, said, labels=range(4), zero_division=0)
    for i, score in enumerate(score_classes(matrix, LABELS)):
        assert (score.precision, score.recall, score.f1) == (precision[i], recall[i], f1[i])
        assert (score.label, score.support) == (LABELS[i], support[i])


@given(answers)
def test_the_mean_is_over_the_classes_that_occur_as_in_scikit_learn(told):
    right, said = (np.array(column) for column in zip(*told, strict=True))
    ours = macro_f1(right, said, 4)(np.ones((1, len(right))))[0]
    assert abs(ours - f1_score(right, said, average="macro", zero_division=0)) < 1e-15


@given(answers, st.integers(0, 1000))
def test_drawn_items_score_as_if_they_were_all(told, seed):
    right, said = (np.array(column) for column in zip(*told, strict=True))
    drawn = np.random.default_rng(seed).integers(len(right), size=len(right))
    counts = np.bincount(drawn, minlength=len(right)).astype(float)
    of_counts = macro_f1(right, said, 4)(counts[None])[0]
    of_items = macro_f1(right[drawn], said[drawn], 4)(np.ones((1, len(right))))[0]
    assert abs(of_counts - of_items) < 1e-12
