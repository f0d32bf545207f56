"""The n-grams and their buckets against slices, against FNV-1a byte by byte, and against gensim's FastText."""

import numpy as np
import pytest

from rnnkit.word2vec.subwords import fnv1a, subword_buckets, subwords

WORDS = ["where", "her", "a", "", "<>", "größer", "日本語", "🙂🙂", "a b", "éa", "\ud800x", "aaaaaaaa"]


@pytest.mark.parametrize("shortest, longest", [(3, 6), (1, 2), (1, 1), (2, 2), (5, 30)])
def test_buckets_are_the_hashes_of_the_n_grams(shortest, longest):
    buckets, lengths = subword_buckets(WORDS, shortest, longest, buckets=997)
    expected = [
        [fnv1a(n_gram.encode("utf-8", "surrogatepass")) % 997 for n_gram in subwords(word, shortest, longest)]
        for word in WORDS
    ]
    assert lengths.tolist() == [len(row) for row in expected]
    assert buckets.tolist() == [bucket for row in expected for bucket in row]
    for word in WORDS:
        marked = f"<{word}>"
        slices = {marked[i:j] for i in range(len(marked)) for j in range(i + shortest, i + longest + 1)}
        slices = {each for each in slices if shortest <= len(each)}
        single = {mark for mark in "<>" if mark not in word}  # a mark alone is no n-gram
        assert set(subwords(word, shortest, longest)) == slices - single


def test_gensim_agrees_where_all_is_ascii():
    inner = pytest.importorskip("gensim.models.fasttext_inner")
    for word in ("where", "her", "a", "co-operate", "<x>"):
        for sizes in ((3, 6), (1, 4)):
            n_grams = inner.compute_ngrams_bytes(word, *sizes)
            assert [each.decode() for each in n_grams] == subwords(word, *sizes)
            expected = [inner.ft_hash_bytes(each) % 1000 for each in n_grams]
            assert subword_buckets([word], *sizes, buckets=1000)[0].tolist() == expected


def test_published_hashes():
    assert [fnv1a(text) for text in (b"", b"a", b"foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


def test_no_words_no_buckets():
    buckets, lengths = subword_buckets([])
    assert buckets.shape == lengths.shape == (0,) and buckets.dtype == np.int32


def test_arguments_that_are_refused():
    for sizes, message in (
        ((0, 3), "shortest n-gram to be a positive integer, received 0"),
        ((3, 2.5), "longest n-gram to be a positive integer, received 2.5"),
        ((4, 3), "shortest n-gram to be no longer than the longest, received 4 and 3"),
    ):
        with pytest.raises(ValueError, match=f"subwords expected the {message}"):
            subwords("word", *sizes)
    for buckets in (0, 2**31):
        with pytest.raises(ValueError, match=f"subword_buckets expected buckets to be .*, received {buckets}"):
            subword_buckets(["word"], buckets=buckets)
