"""Going on with a model, starting from given vectors, and looking on: one run in parts is one run."""

import math

import numpy as np
import pytest

from rnnkit.word2vec import Word2Vec, load_word2vec_format

RNG = np.random.default_rng(0)
DOCUMENTS = RNG.choice(list("abcdefgh"), (40, 20)).tolist()
FLAT = (0.025, 0.025)


def model(**settings):
    return Word2Vec(**{"dimensions": 6, "window": 2, "min_count": 1, "sample": 0.1, **settings})


def fitted(epochs=2, learning_rate=FLAT, **settings):
    return model(**settings).fit(DOCUMENTS, epochs, progress=False, learning_rate=learning_rate)


def same(one, other):
    assert one.vocabulary == other.vocabulary
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.context_vectors.tobytes() == other.context_vectors.tobytes()


@pytest.mark.parametrize("settings", [{}, {"architecture": "cbow"}, {"subwords": (3, 3)}])
@pytest.mark.parametrize("new_words", [True, False])
def test_parts_are_one_run_bit_for_bit_also_through_a_file(settings, new_words, tmp_path):
    parts = fitted(1, **settings)
    for _ in range(2):
        parts.save(tmp_path / "model.npz")
        parts = Word2Vec.load(tmp_path / "model.npz")
        parts.partial_fit(DOCUMENTS, 1, progress=False, learning_rate=FLAT, new_words=new_words)
    whole = fitted(3, **settings)
    same(parts, whole)
    assert parts.history["loss"] == whole.history["loss"] and len(parts.history["loss"]) == 3
    assert parts.counts.tolist() == (whole.counts * (3 if new_words else 1)).tolist()


def test_learning_rates_that_join_are_one_run():
    parts = fitted(2, (0.03, 0.02)).partial_fit(DOCUMENTS, 2, progress=False, learning_rate=(0.02, 0.01))
    whole = fitted(4, (0.03, 0.01))
    np.testing.assert_allclose(parts.vectors, whole.vectors, atol=1e-5)
    assert np.abs(parts.vectors - fitted(4, (0.03, 0.03)).vectors).max() > 1e-3


def test_fit_starts_anew_and_the_first_partial_fit_is_a_fit():
    again = fitted().partial_fit(DOCUMENTS, 1, progress=False).fit(DOCUMENTS, 2, progress=False, learning_rate=FLAT)
    same(again, fitted())
    assert len(again.history["loss"]) == 2
    same(model().partial_fit(DOCUMENTS, 2, progress=False, learning_rate=FLAT), fitted())


@pytest.mark.parametrize("settings", [{}, {"subwords": (3, 4)}])
def test_new_words_join_after_the_known_ones(settings):
    before, after = fitted(min_count=2, **settings), fitted(min_count=2, **settings)
    text = [["new", "a", "b", "new"], ["a", "rare"]]
    after.partial_fit(text, 1, progress=False, learning_rate=(1e-9, 0))  # moves almost nothing
    assert after.vocabulary == [*before.vocabulary, "new"]
    counts = dict(zip(before.vocabulary, before.counts, strict=True)) | {"new": 2}
    counts["a"], counts["b"] = counts["a"] + 2, counts["b"] + 1
    assert dict(zip(after.vocabulary, after.counts, strict=True)) == counts
    np.testing.assert_allclose(after.vectors[:-1], before.vectors, atol=1e-6)
    assert 0 < np.abs(after["new"]).max() <= 0.5 / 6
    frozen = fitted(min_count=2, **settings).partial_fit(text, 1, progress=False, new_words=False)
    assert frozen.vocabulary == before.vocabulary and frozen.counts.tolist() == before.counts.tolist()
    assert not np.array_equal(frozen["a"], before["a"])


def test_a_new_word_learns_where_it_belongs():
    topics = [["cat", "dog", "cow"], ["red", "blue", "green"]]
    rng = np.random.default_rng(1)

    def text(words):
        return rng.choice(words, (100, 20)).tolist()

    subject = model(dimensions=16, sample=0).fit(text(topics[0]) + text(topics[1]), 5, progress=False)
    subject.partial_fit(text([*topics[1], "white"]), 5, progress=False)
    assert {word for word, _ in subject.most_similar("white", n=3)} == set(topics[1])


def test_what_fails_leaves_the_model_as_it_was():
    subject, before = fitted(), fitted()

    class Changing:
        texts = [DOCUMENTS, DOCUMENTS[:3]]

        def __iter__(self):
            return iter(self.texts.pop(0))

    with pytest.raises(ValueError, match="another text in epoch 1"):
        subject.partial_fit(Changing(), 2, progress=False)
    for text, message in (([["x", "y"]], "words of the vocabulary, received none, but such as 'x'"), ([], "none")):
        with pytest.raises(ValueError, match=message):
            subject.partial_fit(text, 1, progress=False, new_words=False)
    same(subject, before)
    same(subject.partial_fit(DOCUMENTS, 1, False, FLAT), before.partial_fit(DOCUMENTS, 1, False, FLAT))


# Given vectors


def given_vectors(path):
    """The same words and vectors in each form, by name."""
    words, vectors = ["b", "a", "other", "c"], np.arange(24, dtype="float32").reshape(4, 6) / 10
    pair = Word2Vec.from_vectors((words, vectors))
    pair.save_word2vec_format(path / "vectors.txt.gz")
    pair.save_word2vec_format(path / "vectors.bin", binary=True)
    yield from ((words, vectors), (words, vectors.tolist()), pair)
    yield from (path / "vectors.txt.gz", str(path / "vectors.bin"))
    yield pytest.importorskip("gensim.models").KeyedVectors.load_word2vec_format(str(path / "vectors.txt.gz"))


def test_every_form_of_given_vectors(tmp_path):
    random = fitted(1, (1e-12, 0))
    for source in given_vectors(tmp_path):
        started = model().fit(DOCUMENTS, 1, False, learning_rate=(1e-12, 0), initial_vectors=source)
        assert started.vocabulary == random.vocabulary and not started.context_vectors.round(6).any()
        expected = np.arange(24).reshape(4, 6)[[0, 1, 3]] / 10
        np.testing.assert_allclose([started[word] for word in "bac"], expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose([started[word] for word in "defgh"], [random[word] for word in "defgh"])
        taken = Word2Vec.from_vectors(source, min_count=1, sample=0)
        assert taken.vocabulary == ["b", "a", "other", "c"] and taken.dimensions == 6 and not taken.counts.any()
        np.testing.assert_array_equal(taken.vectors, np.arange(24, dtype="float32").reshape(4, 6) / 10)
    taken.partial_fit(DOCUMENTS, 1, False, learning_rate=(0.1, 0.1))
    assert taken.vocabulary[:4] == ["b", "a", "other", "c"] and set(taken.vocabulary[4:]) == set("defgh")
    np.testing.assert_array_equal(taken["other"], np.float32([1.2, 1.3, 1.4, 1.5, 1.6, 1.7]))
    assert not taken.context_vectors[2].any()  # it is in no text: never a center, nor a negative
    assert not np.allclose(taken["a"], [0.6, 0.7, 0.8, 0.9, 1, 1.1], atol=1e-3)


def test_a_word2vec_gives_its_context_vectors_too():
    first = fitted()
    second = model().fit(DOCUMENTS, 1, False, learning_rate=(1e-12, 0), initial_vectors=first)
    np.testing.assert_allclose(second.context_vectors, first.context_vectors, atol=1e-7)
    taken = Word2Vec.from_vectors(first)
    same(taken, first)
    assert not np.shares_memory(taken.vectors, first.vectors)


def test_given_vectors_that_are_refused(tmp_path):
    vectors = np.ones((1, 6))
    for source, message in (
        ((["a"], np.ones((1, 5))), r"of dimensions=6, received 5. Pass Word2Vec\(dimensions=5\)"),
        ((["x"], vectors), "such as '.', received none of its 8 words"),
        ((["a", "b"], vectors), r"for 2 words, received float64 of shape \(1, 6\)"),
        ((["a", "a"], np.ones((2, 6))), "each word once, received 'a' twice"),
        ({"a": 1}, "a pair of words and a matrix, received {'a': 1} of type dict"),
        (7, "received 7 of type int"),
    ):
        with pytest.raises(ValueError, match=message):
            model().fit(DOCUMENTS, 1, False, initial_vectors=source)
    with pytest.raises(ValueError, match="subwords=None with given vectors"):
        model(subwords=(3, 6)).fit(DOCUMENTS, 1, False, initial_vectors=(["a"], vectors))
    with pytest.raises(ValueError, match="expected words with vectors, received none"):
        Word2Vec.from_vectors(([], np.ones((0, 3))))
    with pytest.raises(ValueError, match="vectors without counts. Pass new_words=True"):
        Word2Vec.from_vectors((["a"], vectors)).partial_fit([["a", "a"]], 1, False, new_words=False)
    with pytest.raises(FileNotFoundError):
        model().fit(DOCUMENTS, 1, False, initial_vectors=tmp_path / "missing.txt")


# Looking on


def test_history_and_the_call_after_each_epoch(capsys):
    seen = []

    def look(epoch, logs):
        seen.append((epoch, logs, subject["a"].copy()))
        assert subject.history["loss"][-1] == logs["loss"]

    subject = model()
    subject.fit(DOCUMENTS, 2, on_epoch_end=look).partial_fit(DOCUMENTS, 1, on_epoch_end=look)
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2]
    assert {name: [logs[name] for _, logs, _ in seen] for name in seen[0][1]} == subject.history
    assert set(subject.history) == {"loss", "words_per_second"} and min(subject.history["words_per_second"]) > 0
    losses = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert losses == [f"{loss:.4f}" for loss in subject.history["loss"]]
    assert subject.history["loss"][0] == pytest.approx(6 * math.log(2), abs=0.1)
    assert not np.array_equal(seen[0][2], seen[1][2])
    np.testing.assert_array_equal(seen[2][2], subject["a"])


def test_an_interrupted_model_has_what_it_learned():
    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    subject = model()
    with pytest.raises(KeyboardInterrupt):
        subject.fit(DOCUMENTS, 5, False, learning_rate=FLAT, on_epoch_end=stop)
    same(subject, fitted(2))


def test_learning_rates_that_are_refused():
    for rates in (0.1, (0.1,), (0.1, 0.1, 0.1), (0, 0.1), (0.1, -1), (math.nan, 0), (math.inf, 0), ("x", 1), "ab"):
        with pytest.raises(ValueError, match=r"fit expected learning_rate to be the first and the last one"):
            model().fit(DOCUMENTS, 1, False, learning_rate=rates)
        with pytest.raises(ValueError, match=r"partial_fit expected learning_rate"):
            fitted(1).partial_fit(DOCUMENTS, 1, False, learning_rate=rates)


@pytest.mark.parametrize(
    "documents, settings, message",
    [
        ([["a"], ["b"], []], {"sample": 0}, "nothing: every document has a single word. Pass whole sentences"),
        ([["a"], ["b"]], {"sample": 1e-9}, "nothing: every document has a single word. Pass whole sentences"),
        ([["a", "x"], ["y", "b"]] * 2 + [["a"], ["b"]], {"min_count": 3}, "single word of the vocabulary. Pass a min_"),
        ([["a", "b"]], {"sample": 1e-9}, "sample=1e-09 left no two words side by side. Pass sample=0"),
    ],
)
def test_why_nothing_was_learned(documents, settings, message):
    with pytest.warns(UserWarning, match=message):
        subject = model(**settings).fit(documents, 1, progress=False)
    assert math.isnan(subject.history["loss"][0])


def test_a_pair_after_many_single_words_is_measured():
    documents = [["a"]] * 3000 + [["a", "b"] * 5]
    assert model(sample=0).fit(documents, 1, progress=False).history["loss"][0] > 0


# Exports


@pytest.mark.parametrize("unknown", ["<unknown>", "a", None])
def test_to_embedding(unknown, tmp_path):
    import keras

    subject = fitted()
    embedding, vocabulary = subject.to_embedding(unknown=unknown, trainable=False, name="words")
    table = keras.ops.convert_to_numpy(embedding.embeddings)
    assert vocabulary.unknown == unknown and sorted(vocabulary.tokens) == sorted({"", unknown or "", *"abcdefgh"})
    np.testing.assert_array_equal(table[0], 0)
    for word in subject.vocabulary:
        np.testing.assert_array_equal(table[vocabulary[word]], subject[word])
    if unknown is not None:
        expected = subject["a"] if unknown == "a" else subject.vectors.mean(axis=0)
        np.testing.assert_array_equal(table[vocabulary["not a word"]], expected)
        assert vocabulary["not a word"] == 1
    else:
        with pytest.raises(KeyError):
            vocabulary["not a word"]
    ids = vocabulary.encode([["a", "b", "c"], ["d"]])
    assert keras.ops.convert_to_numpy(embedding.compute_mask(ids)).tolist() == [[True] * 3, [True, False, False]]
    assert embedding.name == "words" and not embedding.trainable_weights
    assert subject.to_embedding(mask_zero=False)[0].compute_mask(ids) is None
    network = keras.Sequential([keras.Input((3,), dtype="int32"), embedding])
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded.predict(ids, verbose=0), table[ids])


def test_written_vectors(tmp_path):
    subject = fitted()
    subject.save_word2vec_format(tmp_path / "vectors.txt")
    words, vectors = load_word2vec_format(tmp_path / "vectors.txt")
    assert words == subject.vocabulary and vectors.tobytes() == subject.vectors.tobytes()
    blank = Word2Vec.from_vectors((["New York"], [[1, 2]]))
    with pytest.raises(ValueError, match="without blanks and newlines.*'New York'. Replace them"):
        blank.save_word2vec_format(tmp_path / "vectors.txt")
