"""Tokens of texts that are no messages."""

from hypothesis import given
from hypothesis import strategies as st

from deeptoken.catalog.tokens import TEXT_COUNTED_MAX, count_text, count_texts

MODEL = "text-embedding-3-small"
SENTENCE = "The quick brown fox jumps over the lazy dog. "


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(1, 3)), max_size=4))
def test_each_text_counts_as_often_as_it_is_read(texts: list[tuple[str, int]]) -> None:
    assert count_texts(texts, MODEL) == sum(count_text(text, MODEL) * times for text, times in texts)


def test_what_is_beyond_the_limit_is_as_dense_as_what_is_not() -> None:
    dense, sparse = "x1!" * (TEXT_COUNTED_MAX // 3), SENTENCE * (TEXT_COUNTED_MAX // len(SENTENCE))

    many = count_texts([(sparse, 1)] * 10, MODEL)

    assert abs(many - 10 * count_text(sparse, MODEL)) < many // 100
    assert count_texts([(dense, 1), (dense, 1)], MODEL) >= 2 * count_text(dense[:3_000], MODEL)


def test_a_text_that_is_read_often_beyond_the_limit_counts_that_often() -> None:
    whole = SENTENCE * (2 * TEXT_COUNTED_MAX // len(SENTENCE))

    once, thrice = count_texts([(whole, 1)], MODEL), count_texts([(whole, 3)], MODEL)

    assert abs(thrice - 3 * once) <= 3
