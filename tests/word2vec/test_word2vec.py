"""Word2Vec against a loop over pairs in float64, its windows against counting, and the layers against NumPy."""

import copy
import os
import sys
import tracemalloc

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import spearmanr

from rnnkit.word2vec import Word2Vec, keep_probability, negative_probability, skip_gram_pairs, trainer
from rnnkit.word2vec.layers import CBOW, SkipGram
from rnnkit.word2vec.state import State

TOPICS = [["cat", "dog", "cow", "horse"], ["red", "blue", "green", "white"]]


def topic_documents(documents=400, length=20, seed=0):
    rng = np.random.default_rng(seed)
    return [list(rng.choice(TOPICS[number % 2], length)) for number in range(documents)]


def small_model(**settings):
    return Word2Vec(**{"dimensions": 16, "window": 3, "min_count": 1, "sample": 0, **settings})


class Stream:
    """Documents that are created anew in each pass, like the lines of a file."""

    def __init__(self, documents):
        self.documents, self.passes = documents, 0

    def __iter__(self):
        self.passes += 1
        return (list(document) for document in self.documents)


# One batch against a loop over pairs


def one_batch(seed=0, vocabulary=30, dimensions=7, block=4, window=2, shared=3):
    """A batch of four short documents, with windows of both sizes, repeated words, and a block that is padded."""
    rng = np.random.default_rng(seed)
    lengths = np.array([5, 1, 6, 3])
    tokens = rng.integers(0, vocabulary, lengths.sum())
    tokens[[2, 4, 9, 12]] = 5
    radius = rng.integers(1, window + 1, len(tokens))
    centers, contexts, rows = trainer.blocks(tokens, lengths, radius, block, window)
    negatives = rng.integers(0, vocabulary, (len(centers), shared))
    vectors = rng.normal(size=(vocabulary, dimensions)).astype("float32")
    context_vectors = rng.normal(size=(vocabulary, dimensions)).astype("float32")
    windows = loop_windows(tokens, lengths, radius)
    return tokens, windows, block, (vectors, context_vectors, centers, contexts, negatives, rows)


def loop_windows(tokens, lengths, radius):
    """The positions of the context of each token, found one by one."""
    document = np.repeat(np.arange(len(lengths)), lengths)
    return [
        [
            other
            for other in range(len(tokens))
            if other != place and abs(other - place) <= radius[place] and document[other] == document[place]
        ]
        for place in range(len(tokens))
    ]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loop_loss(architecture, tokens, windows, block, negatives, share, v, u):
    loss = 0.0
    for place, window in enumerate(windows):
        drawn = negatives[place // block]
        if architecture == "cbow":
            if not window:
                continue
            mean = np.mean([v[tokens[other]] for other in window], axis=0)
            loss -= np.log(sigmoid(u[tokens[place]] @ mean))
            loss -= share * sum(np.log(sigmoid(-u[k] @ mean)) for k in drawn)
        else:
            for other in window:
                loss -= np.log(sigmoid(u[tokens[other]] @ v[tokens[place]]))
                loss -= share * sum(np.log(sigmoid(-u[k] @ v[tokens[place]])) for k in drawn)
    return loss


def loop_gradients(architecture, tokens, windows, block, negatives, share, v, u):
    """The updates of word2vec.c, pair by pair: in CBOW a word of a window gets the whole gradient of the mean."""
    dv, du = np.zeros_like(v), np.zeros_like(u)
    for place, window in enumerate(windows):
        candidates = [(k, 0, share) for k in negatives[place // block]]
        if architecture == "cbow":
            if not window:
                continue
            mean = np.mean([v[tokens[other]] for other in window], axis=0)
            dmean = np.zeros_like(mean)
            for word, label, weight in [(tokens[place], 1, 1), *candidates]:
                error = weight * (sigmoid(u[word] @ mean) - label)
                dmean += error * u[word]
                du[word] += error * mean
            for other in window:
                dv[tokens[other]] += dmean
        else:
            center = tokens[place]
            for other in window:
                for word, label, weight in [(tokens[other], 1, 1), *candidates]:
                    error = weight * (sigmoid(u[word] @ v[center]) - label)
                    dv[center] += error * u[word]
                    du[word] += error * v[center]
    return dv, du


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_one_batch_equals_the_loop_over_pairs(architecture):
    share, rate = np.float32(5 / 3), 0.01
    for seed in range(3):
        tokens, windows, block, (v, u, centers, contexts, negatives, rows) = one_batch(seed)
        v64, u64 = v.astype(float), u.astype(float)
        loop = (architecture, tokens, windows, block, negatives, float(share), v64, u64)
        dv, du = loop_gradients(*loop)
        bands = trainer.band_table(block, window=2)
        kernel = trainer.ARCHITECTURES[architecture](bands, negatives.shape[1], share)
        vector_ids, context_ids = kernel.ids(centers, contexts, negatives)
        of_v, of_u = v[vector_ids], u[context_ids]
        loss, count = kernel.gradients(of_v, of_u, rows, measure=True)
        trainer.descend(v, *trainer.sums_by_word(vector_ids), of_v, rate)
        trainer.descend(u, *trainer.sums_by_word(context_ids), of_u, rate)
        np.testing.assert_allclose(v, v64 - rate * dv, atol=2e-6)
        np.testing.assert_allclose(u, u64 - rate * du, atol=2e-6)
        assert count == sum(len(window) if architecture == "skip_gram" else bool(window) for window in windows)
        assert loss == pytest.approx(loop_loss(*loop), rel=1e-5)


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_the_loop_is_the_gradient_of_the_loss(architecture):
    tokens, windows, block, (v, u, _, _, negatives, _) = one_batch()
    # With windows of one word the mean's gradient and each word's part of it are the same.
    windows = [window[:1] for window in windows] if architecture == "cbow" else windows
    v, u = v.astype(float), u.astype(float)
    dv, du = loop_gradients(architecture, tokens, windows, block, negatives, 1.5, v, u)
    for table, gradient in ((v, dv), (u, du)):
        for place in np.ndindex(*table[:8].shape):
            losses = []
            for step in (1e-6, -2e-6):
                table[place] += step
                losses.append(loop_loss(architecture, tokens, windows, block, negatives, 1.5, v, u))
            table[place] += 1e-6
            assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(gradient[place], abs=1e-6)


def test_rows_of_one_word_are_summed():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(9, 4)).astype("float32")
    ids = rng.integers(0, 9, (20, 5))
    ids[:, 0] = 3
    gradients = rng.normal(size=(20, 5, 4)).astype("float32")
    expected = table.astype(float)
    np.add.at(expected, ids, -0.01 * gradients.astype(float))
    trainer.descend(table, *trainer.sums_by_word(ids), gradients, 0.01)
    np.testing.assert_allclose(table, expected, atol=1e-6)


@pytest.mark.parametrize("most", [5, 2**16, 2**16 + 1, 2**31 - 1])
def test_ids_are_sorted_in_a_stable_way(most):
    ids = np.random.default_rng(0).integers(0, most, 500).astype("int32") | 3
    ids[::7] = ids[0]
    np.testing.assert_array_equal(trainer.order_of(ids), np.argsort(ids, kind="stable"))
    assert trainer.order_of(ids[:0]).shape == (0,)


def test_no_vector_moves_farther_than_the_longest_step():
    table = np.zeros((3, 4), "float32")
    gradients = np.full((1000, 4), -50, "float32")
    gradients[-1] = -0.01
    sums = trainer.sums_by_word(np.array([1] * 999 + [2]))
    trainer.descend(table, *sums, gradients, 1.0)
    assert np.linalg.norm(table[1]) == pytest.approx(trainer.LONGEST_STEP)
    np.testing.assert_allclose(table[2], 0.01)
    np.testing.assert_array_equal(table[0], 0)


# Windows


@pytest.mark.parametrize("block", [1, 4, 8, 32])
@pytest.mark.parametrize("window", [1, 3, 5])
def test_no_pair_is_lost_or_doubled_at_borders(block, window):
    lengths = np.array([1, 2, 9, 17, 3, 32, 1, 40])
    tokens = np.arange(1, lengths.sum() + 1)  # each word once, to identify each pair; 0 is the padding
    centers, contexts, rows = trainer.blocks(tokens, lengths, np.full(len(tokens), window), block, window)
    band = trainer.band_table(block, window)[rows]
    number, center, context = np.nonzero(band)
    found = sorted(zip(centers[number, center].tolist(), contexts[number, context].tolist(), strict=True))
    documents = np.split(tokens, np.cumsum(lengths)[:-1])
    expected = sorted(tuple(pair) for document in documents for pair in skip_gram_pairs(document, window).tolist())
    assert found == expected
    assert len(found) == sum(2 * max(length - d, 0) for length in lengths for d in range(1, window + 1))


@pytest.mark.parametrize("length", [0, 1, 2, 5, 30])
@pytest.mark.parametrize("window", [1, 4])
def test_skip_gram_pairs_equal_two_loops(length, window):
    tokens = np.random.default_rng(length).integers(0, 9, length)
    expected = [[tokens[i], tokens[j]] for i in range(length) for j in range(length) if i != j and abs(i - j) <= window]
    pairs = skip_gram_pairs(tokens, window)
    assert pairs.tolist() == expected
    assert pairs.shape == (sum(2 * max(length - d, 0) for d in range(1, window + 1)), 2)


def test_probabilities():
    counts = np.array([900, 90, 9, 1])
    share = counts / 1000
    np.testing.assert_allclose(keep_probability(counts, 0.01)[:2], np.sqrt(0.01 / share[:2]) + 0.01 / share[:2])
    assert keep_probability(counts, 0.01)[2:].tolist() == [1, 1]
    assert keep_probability(counts, 0).tolist() == [1] * 4
    np.testing.assert_allclose(negative_probability(counts), counts**0.75 / (counts**0.75).sum())
    for wrong in ([], [1, 0], [[1, 2]]):
        with pytest.raises(ValueError, match="expected counts to be one row of numbers above 0"):
            negative_probability(wrong)
    for wrong in ([0.5, 1.0], [[1, 2]]):
        with pytest.raises(ValueError, match="expected tokens to be one row of integer ids"):
            skip_gram_pairs(wrong, 2)


def test_subsampling_and_negatives_follow_their_probabilities():
    counts = np.array([8000, 1500, 400, 100])
    state = State.empty(3, 0, None).grown(list("abcd"))
    state.counts[:] = counts
    subject = trainer.Trainer(small_model(dimensions=3, sample=0.05), state, (0.1, 0.1))
    document = np.repeat(np.arange(4), counts * 5).astype("int32")
    tokens, lengths = subject.subsample([document[:20000], document[:0], document[20000:]])
    keep = keep_probability(counts, 0.05)
    np.testing.assert_allclose(np.bincount(tokens) / (counts * 5), keep, atol=0.05)
    assert lengths.tolist() == [(tokens[: lengths[0]] >= 0).sum(), 0, len(tokens) - lengths[0]]
    drawn = subject.draw_negatives(5000)
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / drawn.size, negative_probability(counts), atol=0.01)
    assert len(np.unique(drawn[0])) > 1 and (np.diff(drawn.ravel()) < 0).any()  # not left in order


# Training


class Changing:
    """Yields one text when it is counted, and another when it is trained on."""

    def __init__(self, counted, trained_on):
        self.texts = [counted, trained_on]

    def __iter__(self):
        return iter(self.texts.pop(0))


@pytest.mark.parametrize("later", [[["a", "b"] * 50] * 9, [["x", "y"] * 50], [["a", "b"]], []])
def test_a_text_that_changes_between_passes_is_refused(later):
    with pytest.raises(ValueError, match="another text in epoch 1 than when the vocabulary was counted"):
        small_model().fit(Changing([["a", "b"] * 50], later), epochs=1, progress=False)


def test_a_text_of_which_subsampling_leaves_nothing_says_so():
    with pytest.warns(UserWarning, match="left no two words side by side. Pass sample=0"):
        small_model(sample=1e-9).fit([["a", "b", "c"]] * 5, epochs=1, progress=False)


def test_the_window_has_a_limit():
    with pytest.raises(ValueError, match="window to be at most 50, received 1000"):
        Word2Vec(window=1000)


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_same_seed_same_vectors_bit_for_bit(architecture):
    documents = topic_documents(60)
    settings = dict(architecture=architecture, sample=0.1)
    first = small_model(**settings).fit(documents, epochs=2, progress=False)
    again = small_model(**settings).fit(documents, epochs=2, progress=False)
    stream = Stream(documents)
    streamed = small_model(**settings).fit(stream, epochs=2, progress=False)
    assert first.vectors.dtype == np.float32 and first.vectors.shape == (8, 16)
    assert first.vectors.tobytes() == again.vectors.tobytes() == streamed.vectors.tobytes()
    assert stream.passes == 1 + 2  # the vocabulary, two epochs
    other = small_model(**settings, seed=2).fit(documents, epochs=2, progress=False)
    assert not np.array_equal(first.vectors, other.vectors)
    assert first.fit(documents, epochs=2, progress=False).vectors.tobytes() == again.vectors.tobytes()


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_two_threads_do_what_one_does_bit_for_bit(architecture, monkeypatch):
    class Now:
        """Runs each function at once, in the thread that asks for it."""

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def start(self, function, *arguments):
            self.value = function(*arguments)

        def result(self):
            return self.value

    def train():
        return small_model(architecture=architecture).fit(topic_documents(), epochs=2, progress=False).vectors.tobytes()

    expected = train()
    monkeypatch.setattr(trainer, "SecondThread", Now)
    assert train() == expected


def test_an_error_in_the_second_thread_is_raised_in_the_first():
    with trainer.SecondThread() as second_thread:
        second_thread.start(int, "seven")
        with pytest.raises(ValueError, match="seven"):
            second_thread.result()
        second_thread.start(int, "7")
        assert second_thread.result() == 7


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_topics_separate(architecture):
    model = small_model(architecture=architecture).fit(topic_documents(), epochs=5, progress=False)
    unit = model.vectors / np.linalg.norm(model.vectors, axis=1, keepdims=True)
    topic = np.array([word in TOPICS[0] for word in model.vocabulary])
    cosine = unit @ unit.T
    same = topic[:, None] == topic
    assert cosine[same].min() > cosine[~same].max() + 0.2
    for words in TOPICS:
        assert {word for word, _ in model.most_similar(words[0], n=3)} == set(words[1:])


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_one_dominating_word_stays_finite(architecture):
    rng = np.random.default_rng(0)
    documents = [["the"] * 2000, *([*rng.choice(["the", "a", "b"], 500, p=[0.98, 0.01, 0.01])] for _ in range(40))]
    model = Word2Vec(dimensions=20, architecture=architecture, min_count=1, sample=0)
    model.fit(documents, epochs=5, progress=False)
    assert np.isfinite(model.vectors).all()
    assert np.abs(model.vectors).max() < 100


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
@pytest.mark.parametrize("words, epochs, sample", [(100, 5, 0), (200, 10, 1e-3)])
def test_small_vocabularies_are_learned_as_well_as_by_gensim(architecture, words, epochs, sample):
    """Words are places on a circle, documents walk on it: pairs that are no direct neighbors are ordered as there."""
    gensim = pytest.importorskip("gensim.models")

    def rho(vectors):
        table = np.stack([vectors[str(place)] for place in range(words)])
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        first, second = np.triu_indices(words, 1)
        apart = np.minimum(second - first, words - second + first)
        pairs = (apart > 1) & (apart <= words // 10)
        return spearmanr((table @ table.T)[first, second][pairs], -apart[pairs])[0]

    def walks(seed):
        rng = np.random.default_rng(seed)
        steps = np.rint(rng.normal(size=(400, 50))).astype(int)
        steps[:, 0] = rng.integers(0, words, len(steps))
        return [[str(place) for place in document] for document in np.cumsum(steps, axis=1) % words]

    ours, theirs = [], []
    for seed in range(2):
        text = walks(seed)
        model = Word2Vec(architecture=architecture, min_count=1, seed=seed, sample=sample)
        ours.append(rho(model.fit(text, epochs, progress=False)))
        rate = {"sg": 1, "alpha": 0.025} if architecture == "skip_gram" else {"sg": 0, "alpha": 0.05}
        settings = dict(min_count=1, seed=seed, sample=sample, epochs=epochs, workers=1, **rate)
        theirs.append(rho(gensim.Word2Vec(text, **settings).wv))
    assert np.mean(ours) > np.mean(theirs) - 0.05, (ours, theirs)


def test_documents_larger_than_a_stretch_are_read_whole(monkeypatch):
    documents = topic_documents(30)
    monkeypatch.setattr(trainer, "STRETCH", 70)
    stretches = list(trainer.stretches([(np.arange(20), 25)] * 30))
    assert [len(stretch) for stretch, _ in stretches] == [4] * 7 + [2]
    assert sum(read for _, read in stretches) == 750
    assert np.isfinite(small_model().fit(documents, epochs=1, progress=False).vectors).all()


class GeneratedText:
    """Documents that exist only while they are read; remembers how many were read in each pass."""

    words = np.array([f"w{number}" for number in range(50)], object)

    def __init__(self, documents, length=1000):
        self.documents, self.length, self.read = documents, length, []

    def __iter__(self):
        rng = np.random.default_rng(0)
        self.read.append(0)
        for _ in range(self.documents):
            yield self.words[rng.integers(0, 50, self.length)].tolist()
            self.read[-1] += 1


def test_a_text_is_read_once_for_the_vocabulary_and_once_each_epoch():
    text = GeneratedText(documents=7, length=30)
    model = small_model().fit(text, epochs=3, progress=False)
    assert text.read == [7] * 4
    assert model.counts.sum() == 210


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_memory_does_not_grow_with_the_text(architecture, monkeypatch):
    monkeypatch.setattr(trainer, "STRETCH", 2**12)
    model = small_model(architecture=architecture)

    def peak(documents):
        tracemalloc.start()
        model.fit(GeneratedText(documents), epochs=1, progress=False)
        bytes_at_the_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return bytes_at_the_peak

    peak(2)  # loads what is loaded only once
    short = max(peak(10) for _ in range(3))  # which thread is ahead moves it a little
    assert peak(610) < short + 1_500_000  # the word ids of the longer text alone are 2,400,000 bytes more


def test_vocabulary_and_counts():
    documents = [["b", "a", "b", "c"], ["b", "a", "d"], []]
    model = small_model(min_count=2).fit(documents, epochs=1, progress=False)
    assert model.vocabulary == ["b", "a"]
    assert model.counts.tolist() == [3, 2]
    assert "a" in model and "c" not in model
    np.testing.assert_array_equal(model["a"], model.vectors[1])


def test_progress_is_one_line_per_epoch(capsys):
    small_model().fit(topic_documents(10), epochs=3)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 3 and not err
    assert lines[0].startswith("epoch 1/3: ") and "words/s, loss " in lines[0]
    assert float(lines[0].split()[-1]) == pytest.approx(6 * np.log(2), abs=0.3)
    small_model().fit(topic_documents(10), epochs=1, progress=False)
    assert capsys.readouterr().out == ""


# Using the vectors


@pytest.fixture(scope="module")
def fitted():
    return small_model().fit(topic_documents(), epochs=2, progress=False)


def test_gensim_agrees(fitted):
    keyed = fitted.to_keyed_vectors()
    assert keyed.index_to_key == fitted.vocabulary
    assert keyed.get_vecattr("cat", "count") == fitted.counts[fitted.vocabulary.index("cat")]
    for mine, theirs in (
        (fitted.most_similar("cat", n=5), keyed.most_similar("cat", topn=5)),
        (fitted.most_similar(["cat", "red"], n=20), keyed.most_similar(["cat", "red"], topn=20)),
        (fitted.analogy("cat", "dog", "red", n=5), keyed.most_similar(["dog", "red"], ["cat"], topn=5)),
    ):
        assert [word for word, _ in mine] == [word for word, _ in theirs]
        np.testing.assert_allclose([c for _, c in mine], [c for _, c in theirs], atol=1e-6)


def test_without_gensim_the_error_says_what_to_install(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(ImportError, match="pip install gensim"):
        fitted.to_keyed_vectors()


def test_save_and_load(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.gz"  # whatever its name
    fitted.save(path)
    loaded = Word2Vec.load(path)
    assert loaded.vocabulary == fitted.vocabulary and loaded.window == 3
    assert loaded.vectors.tobytes() == fitted.vectors.tobytes() and loaded.counts.tolist() == fitted.counts.tolist()
    assert loaded.most_similar("cat") == fitted.most_similar("cat")
    before = path.read_bytes()

    def full_disk(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="space"):
        fitted.save(path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["model.gz"]


def test_load_refuses_another_file(tmp_path):
    np.savez(tmp_path / "other.npz", vectors=np.zeros(3))
    with pytest.raises(ValueError, match="that Word2Vec.save wrote, received .* which has no"):
        Word2Vec.load(tmp_path / "other.npz")


# Errors


@pytest.mark.parametrize("name", ["dimensions", "window", "negatives", "min_count", "seed"])
@pytest.mark.parametrize("value", [-1, 2.5, "3", True, None])
def test_numbers_that_are_refused(name, value):
    with pytest.raises(
        ValueError, match=f"Word2Vec expected {name} to be (a positive integer|an integer of at least 0), received"
    ):
        Word2Vec(**{name: value})


def test_other_arguments_that_are_refused():
    for name in ("dimensions", "window", "negatives", "min_count"):
        with pytest.raises(ValueError, match=f"Word2Vec expected {name} to be a positive integer, received 0"):
            Word2Vec(**{name: 0})
    with pytest.raises(ValueError, match="expected epochs to be a positive integer, received 0"):
        Word2Vec().fit([["a"]], epochs=0)
    with pytest.raises(ValueError, match="skip_gram.*cbow.*'glove'"):
        Word2Vec(architecture="glove")
    for sample in (-1e-3, float("nan"), "1"):
        with pytest.raises(ValueError, match="expected sample to be a number of at least 0"):
            Word2Vec(sample=sample)


@pytest.mark.parametrize(
    "documents, message",
    [
        ("a text", "list of token lists, received 'a text' of type str"),
        (7, "list of token lists, received 7 of type int"),
        (["a text", "another"], "received 'a text' as document 0"),
        ([["a"], 3], "received 3 as document 1"),
        ([["a", 5]], "tokens to be strings, received 5 of type int"),
        ([], "documents with words, received none"),
        ([[], []], "documents with words, received none"),
        ([["rare", "rare", "word"]], "'rare', occurs 2 times. Pass min_count=2 or less"),
        ((document for document in [["a", "b"]]), "generator, which can be read only once.*object whose __iter__"),
        (map(str.split, ["a b"]), "map, which can be read only once"),
    ],
)
def test_documents_that_are_refused(documents, message):
    with pytest.raises(ValueError, match=message):
        Word2Vec().fit(documents, progress=False)


def test_documents_that_run_out():
    class Once(Stream):
        def __iter__(self):
            self.passes += 1
            return iter(self.documents if self.passes <= 2 else [])

    with pytest.raises(ValueError, match="another text in epoch 2 than when the vocabulary was counted"):
        small_model().fit(Once(topic_documents(3)), epochs=2, progress=False)


def test_unknown_words_and_calls_before_fit(fitted):
    for question in (
        lambda: fitted["hors"],
        lambda: fitted.most_similar(["cat", "hors"]),
        lambda: fitted.analogy("cat", "dog", "hors"),
    ):
        with pytest.raises(KeyError, match="'hors' is not in the vocabulary of 8 words. Close spellings: horse"):
            question()
    for wrong in (lambda: fitted.most_similar([]), lambda: fitted.most_similar("cat", n=0)):
        with pytest.raises(ValueError, match="most_similar expected (a word|n to be a positive integer)"):
            wrong()
    for early in (
        lambda model: model.vectors,
        lambda model: model.vocabulary,
        lambda model: model["cat"],
        lambda model: "cat" in model,
        lambda model: model.analogy("a", "b", "c"),
        lambda model: model.save("nowhere.npz"),
    ):
        with pytest.raises(ValueError, match="call fit"):
            early(Word2Vec())


# The layers

CENTERS = np.array([3, 0, 5, 3])
CONTEXTS = np.array([[1, 2, 3], [4, 4, 0], [5, 0, 0], [0, 0, 0]])
MASK = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
CANDIDATES = np.array([[0, 1], [2, 2], [5, 3], [4, 1]])


def layer_with_weights(layer_class, **kwargs):
    layer = layer_class(6, 4, **kwargs)
    layer.build((None,))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=(6, 4)), rng.normal(size=(6, 4))])
    return layer


def oracle(layer, ids, mask=None):
    v, u = (weight.astype(float) for weight in layer.get_weights())
    if ids.ndim == 1:
        return v[ids] @ u.T
    mask = np.ones(ids.shape, bool) if mask is None else mask
    means = [v[row[m]].mean(axis=0) if m.any() else np.zeros(4) for row, m in zip(ids, mask, strict=True)]
    return np.array(means) @ u.T


CASES = [(SkipGram, CENTERS, {}), (CBOW, CONTEXTS, {}), (CBOW, CONTEXTS, {"mask": MASK})]


@pytest.mark.parametrize("layer_class, ids, options", CASES)
def test_layer_values(layer_class, ids, options):
    layer = layer_with_weights(layer_class)
    expected = oracle(layer, ids, **options)
    full = ops.convert_to_numpy(layer(ids, **options))
    np.testing.assert_allclose(full, expected, atol=1e-6)
    some = ops.convert_to_numpy(layer(ids, candidates=CANDIDATES, **options))
    np.testing.assert_allclose(some, np.take_along_axis(full, CANDIDATES, axis=1), atol=1e-6)
    np.testing.assert_array_equal(layer.vectors, layer.get_weights()[0])
    np.testing.assert_array_equal(layer.context_vectors, layer.get_weights()[1])


def test_what_the_mask_hides_changes_nothing():
    layer = layer_with_weights(CBOW)
    expected = ops.convert_to_numpy(layer(CONTEXTS, mask=MASK))
    for garbage in (5, -1, 10**6):
        dirty = np.where(MASK, CONTEXTS, garbage)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(dirty, mask=MASK)), expected)
        tensor = ops.convert_to_tensor(dirty)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(tensor, mask=MASK)), expected)
    np.testing.assert_array_equal(expected[3], 0)


@pytest.mark.parametrize("layer_class, ids", [(SkipGram, CENTERS), (CBOW, CONTEXTS)])
def test_fit_takes_the_gradient_step(layer_class, ids):
    layer = layer_with_weights(layer_class)
    before = [weight.astype(float) for weight in layer.get_weights()]
    labels = np.array([1, 0, 5, 2])

    def loss(v, u):
        scores = (v[ids] if ids.ndim == 1 else v[ids].mean(axis=1)) @ u.T
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(4), labels])

    inputs = keras.Input(ids.shape[1:], dtype="int64")
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(ids, labels, batch_size=4, epochs=1, shuffle=False, verbose=0).history
    assert history["loss"][0] == pytest.approx(loss(*before), rel=1e-5)
    for table, after in enumerate(layer.get_weights()):
        for place in np.ndindex(6, 4):
            moved = [copy.deepcopy(before) for _ in range(2)]
            moved[0][table][place] += 1e-6
            moved[1][table][place] -= 1e-6
            gradient = (loss(*moved[0]) - loss(*moved[1])) / 2e-6
            assert after[place] == pytest.approx(before[table][place] - 0.5 * gradient, abs=1e-5)


def test_layers_start_as_word2vec_does():
    for layer_class in (SkipGram, CBOW):
        layer = layer_class(1000, 10)
        layer.build((None,))
        assert 0.045 < np.abs(layer.vectors).max() <= 0.05
        assert not layer.context_vectors.any()


@pytest.mark.parametrize("layer_class, ids, options", CASES)
def test_layers_save_and_load(layer_class, ids, options, tmp_path):
    inputs = [keras.Input(ids.shape[1:], dtype="int64"), keras.Input((2,), dtype="int64")]
    data = [ids, CANDIDATES]
    layer = layer_with_weights(layer_class, name="words")
    if options:
        inputs, data = [*inputs, keras.Input((3,), dtype="bool")], [*data, MASK]
        model = keras.Model(inputs, layer(inputs[0], candidates=inputs[1], mask=inputs[2]))
    else:
        model = keras.Model(inputs, layer(inputs[0], candidates=inputs[1]))
    assert model.output.shape == (None, 2)
    expected = model.predict(data, verbose=0)
    eager = layer(ids, candidates=CANDIDATES, **options)
    np.testing.assert_allclose(expected, ops.convert_to_numpy(eager), atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(data, verbose=0), expected)


@pytest.mark.parametrize("layer_class", [SkipGram, CBOW])
def test_layer_config(layer_class):
    layer = layer_class(6, 4, vectors_initializer="ones", context_initializer="glorot_uniform", name="words")
    twin = layer_class.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    assert keras.saving.get_registered_name(layer_class) == f"rnnkit>{layer_class.__name__}"


def test_layers_in_mixed_precision():
    for layer_class, ids, options in CASES:
        expected = oracle(layer_with_weights(layer_class), ids, **options)
        logits = layer_with_weights(layer_class, dtype="mixed_float16")(ids, **options)
        assert keras.backend.standardize_dtype(logits.dtype) == "float16"
        np.testing.assert_allclose(ops.convert_to_numpy(logits), expected, atol=0.02)


def test_layer_errors():
    for layer_class in (SkipGram, CBOW):
        for sizes in ((0, 4), (6, 2.5), (True, 4), (6, "4")):
            with pytest.raises(ValueError, match=f"{layer_class.__name__} expected .* positive integer"):
                layer_class(*sizes)
        with pytest.raises(ValueError, match="no vectors yet"):
            _ = layer_class(6, 4).vectors
    skip_gram, cbow = layer_with_weights(SkipGram), layer_with_weights(CBOW)
    for call, message in (
        (lambda: skip_gram(CONTEXTS), r"centers of shape \(batch,\), received \(4, 3\)"),
        (lambda: skip_gram(CENTERS.astype("float32")), "centers to be integer ids, received float32"),
        (lambda: skip_gram(np.array([1, 6])), "centers from 0 to 5, received ids from 1 to 6"),
        (lambda: skip_gram(CENTERS, candidates=CANDIDATES - 1), "candidates from 0 to 5, received ids from -1"),
        (lambda: skip_gram(CENTERS, candidates=CENTERS), r"candidates of shape \(batch, n\), received \(4,\)"),
        (lambda: cbow(CENTERS), r"contexts of shape \(batch, n\), received \(4,\)"),
        (lambda: cbow(CONTEXTS + 1), "contexts from 0 to 5, received ids from 1 to 6"),
        (lambda: cbow(CONTEXTS, mask=MASK[:, :2]), r"mask of the shape of contexts, \(4, 3\), received \(4, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
