"""The n-gram model that conversations are compared with."""

import numpy as np
import pytest

from textwright.companion.counting import NGramModel, unigram_log_probabilities


@pytest.fixture(scope="module")
def text() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    texts = []
    for _ in range(60):
        tokens = [0]
        while tokens[-1] != 1 and len(tokens) < 40:  # 1 ends; what follows depends on two before
            tokens.append(
                int(
                    (
                        2 * tokens[-1]
                        + tokens[max(0, len(tokens) - 2)]
                        + draw.choice([1, 2, 5], p=[0.7, 0.2, 0.1])
                    )
                    % 11
                )
            )
        texts.append(tokens)
    starts = np.cumsum([0, *map(len, texts[:-1])])
    return np.array([token for one in texts for token in one]), starts  # fmt: skip


@pytest.mark.parametrize("context", [[0], [0, 3], [0, 3, 5, 1], [7, 7, 7, 7], [0, 2, 9, 4, 4, 1]])
def test_probabilities_are_of_one_whole(
    text: tuple[np.ndarray, np.ndarray], context: list[int]
) -> None:
    model = NGramModel(*text, vocab_size=11, order=4)
    queries = np.array([token for last in range(11) for token in (*context, last)])
    starts = np.arange(11) * (len(context) + 1)
    last = model.log_probabilities(queries, starts)[len(context) :: len(context) + 1]
    assert np.exp(last).sum() == pytest.approx(1)


def test_what_is_folded_is_another_token_in_contexts_alone() -> None:
    """A text whose spaces are now and then line ends: 1 is the space, 2 the line's end."""
    draw = np.random.default_rng(2)
    words = [draw.integers(3, 9, draw.integers(2, 5)) for _ in range(12)]
    tokens = np.concatenate([(*words[draw.integers(12)], 1) for _ in range(900)])
    tokens[(tokens == 1) & (draw.random(len(tokens)) < 0.2)] = 2
    learned, held, start = tokens[:2500], tokens[2500:], np.zeros(1, np.int64)
    folded = np.array([0, 1, 1, *range(3, 10)])
    model = NGramModel(learned, start, 10, 6, folded)
    plain = NGramModel(learned, start, 10, 6)
    after = [np.array([7, 4, ends, 5, 3]) for ends in (1, 2)]
    queries = [np.array([one for last in range(10) for one in (*some, last)]) for some in after]
    starts = np.arange(10) * 6
    space, line = (model.log_probabilities(one, starts)[5::6] for one in queries)
    assert np.array_equal(space, line) and np.exp(space).sum() == pytest.approx(1)
    assert np.exp(model.log_probabilities(np.array([4, 1, 2]), np.array([0, 1, 2]))).sum() < 1
    assert not np.array_equal(*(plain.log_probabilities(one, starts)[5::6] for one in queries))
    gained = (
        model.log_probabilities(held, start).mean() - plain.log_probabilities(held, start).mean()
    )
    assert gained > 0.01
    same = NGramModel(learned, start, 10, 6, np.arange(10)).log_probabilities(held, start)
    assert np.array_equal(same, plain.log_probabilities(held, start))


def test_more_context_predicts_better(text: tuple[np.ndarray, np.ndarray]) -> None:
    tokens, starts = text
    cut = int(starts[40])
    learned = (tokens[:cut], starts[:40])
    held = (tokens[cut:], starts[40:] - cut)
    means = [
        NGramModel(*learned, vocab_size=11, order=order).log_probabilities(*held).mean()
        for order in (1, 2, 3, 5)
    ]
    assert means[0] < means[1] < means[2]
    assert means[3] > means[1]
    alone = unigram_log_probabilities(learned[0], 11)
    assert np.exp(alone).sum() == pytest.approx(1)
    assert means[0] == pytest.approx(alone[held[0]].mean(), abs=0.3)


def test_the_textbook_formula_by_hand() -> None:
    # "a b a b a c": after a, b twice and c once; after b, a twice
    tokens = np.array([0, 1, 0, 1, 0, 2])
    model = NGramModel(tokens, np.array([0]), vocab_size=3, order=2)
    # Counts of pairs: ab 2, ba 2, ac 1: n1 = 1, n2 = 2, so y = 1/5, D1 = 1 - 2·(1/5)·2 = 1/5, and
    # D2 = 2 - 3·(1/5)·(n3/n2) with n3 taken for 1 where there is none: 2 - 3/10 = 1.7
    d1, d2 = 0.2, 1.7
    left = (d2 + d1) / 3  # after a
    below = np.exp(model.log_probabilities(np.array([1]), np.array([0])))[0]
    found = np.exp(model.log_probabilities(np.array([0, 1]), np.array([0])))[1]
    assert found == pytest.approx((2 - d2) / 3 + left * below)
