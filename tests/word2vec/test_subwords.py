"""The n-grams and their buckets against slices, against FNV-1a byte by byte, and against gensim's FastText."""

import numpy as np
import pytest

from rnnkit.word2vec import Word2Vec, load_word2vec_format, trainer
from rnnkit.word2vec.state import State
from rnnkit.word2vec.subword_hashing import fnv1a, subword_buckets, subwords

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


def test_many_words_are_hashed_in_pieces(monkeypatch):
    whole = subword_buckets(WORDS)
    monkeypatch.setattr("rnnkit.word2vec.subword_hashing._WORDS", 5)
    for expected, found in zip(whole, subword_buckets(WORDS), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


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


# The model


def test_a_step_equals_the_loop_in_float64():
    """Each row of a word moves by the whole gradient of the mean, as in FastText."""
    words = ["where", "there", "here", "her", "a"]
    state = State.empty(5, 0, (3, 4, 40)).grown(words)
    rng = np.random.default_rng(0)
    state.rows[:] = rng.normal(size=state.rows.shape)
    state.context_vectors[:] = rng.normal(size=(5, 5))
    state.counts[:] = 1
    subject = trainer.Trainer(Word2Vec(dimensions=5, window=2, sample=0), state, (0.01, 0.01))
    rows_of = []
    for number, word in enumerate(words):
        buckets = [fnv1a(n_gram.encode()) % 40 for n_gram in subwords(word, 3, 4)]
        rows_of.append([number, *(5 + state.buckets.tolist().index(bucket) for bucket in buckets)])
    before = state.rows.astype(float)
    vectors = np.array([before[rows].mean(axis=0) for rows in rows_of])
    np.testing.assert_allclose(state.vectors(), vectors, atol=1e-6)
    ids = np.array([[3, 0, 3], [1, 3, 0]])
    gradients = rng.normal(size=(2, 3, 5)).astype("float32")
    found, sums = trainer.sums_by_word(ids)
    np.testing.assert_array_equal(found[trainer.places_of(found, sums)].reshape(ids.shape), ids)
    means = subject.means.of(found)
    with trainer.SecondThread() as second_thread:
        np.testing.assert_allclose(means.vectors(state.rows, second_thread), vectors[found], atol=1e-6)
    trainer.move(state.rows, means.rows, means.steps(sums, gradients), 0.01)
    for word, gradient in zip(ids.ravel(), gradients.reshape(-1, 5), strict=True):
        for row in rows_of[word]:
            before[row] -= 0.01 * gradient.astype(float)
    np.testing.assert_allclose(state.rows, before, atol=1e-6)


@pytest.fixture(scope="module", params=["skip_gram", "cbow"])
def fitted(request):
    rng = np.random.default_rng(0)
    stems = [["walk", "talk", "work"], ["redd", "bluu", "gree"]]
    documents = [
        np.char.add(rng.choice(stems[k % 2], 12), rng.choice(["s", "ing", "er"], 12)).tolist() for k in range(200)
    ]
    settings = dict(dimensions=12, window=3, min_count=1, sample=0, subwords=(3, 5), buckets=5000)
    return Word2Vec(architecture=request.param, **settings).fit(documents, 5, progress=False)


def test_vectors_are_means(fitted):
    own = fitted._state.rows[: len(fitted.vocabulary)]
    for number, word in enumerate(fitted.vocabulary):
        n_grams = fitted.subword_vectors(word)
        assert n_grams.shape == (len(subwords(word, 3, 5)), 12) and np.abs(n_grams).min(axis=1).all()
        np.testing.assert_allclose(fitted[word], np.mean([own[number], *n_grams], axis=0), atol=1e-6)
        np.testing.assert_array_equal(fitted[word], fitted.vectors[number])
    assert "walked" not in fitted
    known = {}
    for word in fitted.vocabulary:
        known |= dict(zip(subwords(word, 3, 5), fitted.subword_vectors(word), strict=True))
    expected = np.mean([known.get(n_gram, np.zeros(12)) for n_gram in subwords("walked", 3, 5)], axis=0)
    np.testing.assert_allclose(fitted["walked"], expected, atol=1e-6)
    np.testing.assert_array_equal(fitted["日本語"], 0)


def test_an_unknown_word_is_near_those_of_its_stem_and_topic(fitted):
    near = [word[:4] for word, _ in fitted.most_similar("walked", n=9)]
    assert set(near) == {"walk", "talk", "work"}
    assert fitted.analogy("walks", "talks", "walked", n=1)[0][0].startswith(("walk", "talk", "work"))


def test_save_load_and_export(fitted, tmp_path):
    fitted.save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").stat().st_size < 200_000  # buckets that no word has take no room
    loaded = Word2Vec.load(tmp_path / "model.npz")
    assert loaded.subwords == (3, 5) and loaded.buckets == 5000
    for word in (*fitted.vocabulary, "walked", "日本語"):
        np.testing.assert_array_equal(loaded[word], fitted[word])
    embedding, vocabulary = fitted.to_embedding()
    table = np.asarray(embedding.get_weights()[0])
    np.testing.assert_array_equal([table[vocabulary[word]] for word in fitted.vocabulary], fitted.vectors)
    fitted.save_word2vec_format(tmp_path / "vectors.bin", binary=True)
    words, vectors = load_word2vec_format(tmp_path / "vectors.bin", binary=True)
    assert words == fitted.vocabulary and vectors.tobytes() == fitted.vectors.tobytes()


def test_words_without_n_grams():
    model = Word2Vec(dimensions=4, min_count=1, sample=0, subwords=(5, 6)).fit([["a", "bcd"]] * 9, 1, progress=False)
    assert model["a"].shape == (4,) and model.subword_vectors("a").shape == (0, 4)
    with pytest.raises(KeyError, match="'b' is not in the vocabulary of 2 words"):
        model["b"]
    with pytest.raises(KeyError, match="7 is not in the vocabulary"):
        model[7]
    with pytest.raises(ValueError, match="expected a model with sub-words"):
        Word2Vec(min_count=1, sample=0).fit([["a", "b"]], 1, progress=False).subword_vectors("a")
    for wrong in (3, (3,), (6, 3), (0, 3), "36"):
        with pytest.raises(ValueError, match="Word2Vec expected (subwords to be|the shortest n-gram)"):
            Word2Vec(subwords=wrong)
    for wrong in (0, 2**31, 1.5):
        with pytest.raises(ValueError, match="Word2Vec expected buckets to be"):
            Word2Vec(subwords=(3, 6), buckets=wrong)
