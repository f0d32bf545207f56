"""How `Word2Vec` trains: in NumPy, on blocks of text, on two threads.

`SkipGramGradients` and `CBOWGradients` belong to the models of `layers.py`, with the same tables of vectors and the
same scores. The Keras layers score one batch of ids on any backend, and an optimizer of Keras trains them with a loss
of your choice: they are for building your own models. The classes here only compute the gradients of negative sampling,
for whole blocks of neighboring centers at once, which is faster: they are for training vectors on a corpus.

The centers of a block share their contexts and their negatives: the scores of all its pairs are one matrix product, and
the window is a band of it. A batch of blocks is one step of gradient descent.

With sub-words, the vector of a word is the mean of several rows: the rows of a batch are few, and one product of a
sparse matrix with them makes the vectors of its words, another hands the gradients back.

Each of the two threads turns the vectors of half of a batch's blocks into gradients. Then one thread moves the vectors,
and the other the context vectors. They never write to the same place, and they wait for each other after both parts:
the result does not depend on which is faster.
"""

from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

RATES = {"skip_gram": (0.025, 1e-4), "cbow": (0.05, 1e-4)}  # the learning rates of word2vec.c
LONGEST_STEP = 1.0  # no vector moves farther than this in one batch
LARGEST_WINDOW = 50  # the table of windows grows with its cube
STRETCH = 2**17  # tokens that are prepared together
MEASURE_EVERY = 64  # batches between two measurements of the loss
ROWS_AT_A_TIME = 512  # that a thread moves: their vectors stay in its cache


class Shape(NamedTuple):
    """The sizes of a batch, chosen by measurement: larger is faster, until quality falls."""

    block: int  # neighboring centers that share their negatives
    shared: int  # negatives of a block
    batch: int  # blocks in one step of gradient descent


SHAPES = {
    "skip_gram": [  # for vocabularies up to a size
        (500, Shape(block=8, shared=80, batch=32)),
        (2000, Shape(block=8, shared=40, batch=96)),
        (np.inf, Shape(block=24, shared=20, batch=96)),
    ],
    "cbow": [
        (500, Shape(block=8, shared=48, batch=32)),
        (2000, Shape(block=8, shared=32, batch=96)),
        (np.inf, Shape(block=16, shared=8, batch=256)),
    ],
}


def shape_for(architecture, words):
    """The sizes of a batch for a vocabulary.

    The fewer words there are, the more often each occurs in a batch, where all its gradients are taken at the same
    place, and the more the negatives of a block are the same words: a small vocabulary needs small batches and blocks.
    """
    return next(shape for most, shape in SHAPES[architecture] if words <= most)


class Trainer:
    """Turns documents of word ids into batches, and takes one step for each.

    Args:
        model: the `Word2Vec`, for its settings.
        state: the `State`, whose tables are trained in place, and whose generator makes all random draws.
        rates: the learning rates of the first and of the last token; in between, it falls linearly.
    """

    def __init__(self, model, state, rates):
        self.rows, self.context_vectors, self.rng = state.rows, state.context_vectors, state.rng
        self.shape, self.window = shape_for(model.architecture, len(state.vocabulary)), model.window
        self.rates = rates
        self.means = None if state.means is None else MeansOfRows(state.means)
        self.keep = state.keep(model.sample).astype(np.float32)
        self.cumulative = np.cumsum(state.negative())
        # A block shares its negatives: each center gets `shared` of them, where word2vec.c draws `negatives`. Weighted
        # by negatives / shared, they have the same expected loss, with the same gradient.
        share = np.float32(model.negatives / self.shape.shared)
        bands = band_table(self.shape.block, model.window)
        self.architecture = ARCHITECTURES[model.architecture](bands, self.shape.shared, share)
        # One batch's vectors, then their gradients: allocating memory for each batch would cost time.
        widths = self.shape.block, bands.shape[1], self.shape.shared
        ids = self.architecture.ids(*(np.empty((self.shape.batch, width), np.int32) for width in widths))
        self.space = [np.empty((*each.shape, model.dimensions), np.float32) for each in ids]

    def train(self, documents, start, end):
        """Trains on documents, from `start` to `end` of the whole training (0 to 1); returns the measured losses."""
        tokens, lengths = self.subsample(documents)
        if not len(tokens):
            return []
        radius = self.rng.integers(1, self.window + 1, len(tokens)).astype(np.int32)
        centers, contexts, windows = blocks(tokens, lengths, radius, self.shape.block, self.window)
        vector_ids, context_ids = self.architecture.ids(centers, contexts, self.draw_negatives(len(centers)))
        batches = []  # sorted here: two threads that sort would wait for the interpreter's lock
        for first in range(0, len(centers), self.shape.batch):
            rows = slice(first, first + self.shape.batch)
            of_words, of_context_words = sums_by_word(vector_ids[rows]), sums_by_word(context_ids[rows])
            means, ids = None, vector_ids[rows]
            if self.means is not None:
                means, ids = self.means.of(of_words[0]), places_of(*of_words).reshape(ids.shape)
            batches.append(Batch(ids, context_ids[rows], windows[rows], of_words, of_context_words, means))
        losses = []
        with SecondThread() as second_thread:
            for number, batch in enumerate(batches):
                place = start + (end - start) * number * self.shape.batch / len(centers)
                rate = self.rates[0] + (self.rates[1] - self.rates[0]) * place
                measure = number % MEASURE_EVERY == 0 or not losses  # a batch without a pair has no loss
                loss = self.step(batch, rate, second_thread, measure)
                if loss is not None:
                    losses.append(loss)
        return losses

    def step(self, batch, rate, second_thread, measure=False):
        """Takes one step of gradient descent on both tables; returns the mean loss if it is measured."""
        count = len(batch.windows)
        v, u = (vectors[:count] for vectors in self.space)
        vectors = self.rows if batch.means is None else batch.means.vectors(self.rows, second_thread)

        def gradients(part):
            np.take(vectors, batch.vector_ids[part], axis=0, out=v[part], mode="clip")
            np.take(self.context_vectors, batch.context_ids[part], axis=0, out=u[part], mode="clip")
            return self.architecture.gradients(v[part], u[part], batch.windows[part], measure)

        half = count // 2
        second_thread.start(gradients, slice(half))
        losses = gradients(slice(half, None)), second_thread.result()
        second_thread.start(descend, self.context_vectors, *batch.of_context_words, u, rate)
        if batch.means is None:
            descend(self.rows, *batch.of_words, v, rate)
        else:
            steps, rows = batch.means.steps(batch.of_words[1], v), batch.means.rows
            second_thread.result()
            half = len(rows) // 2
            second_thread.start(move, self.rows, rows[:half], steps[:half], rate)
            move(self.rows, rows[half:], steps[half:], rate)
        second_thread.result()
        if measure:
            total, counted = np.sum(losses, axis=0)
            return total / counted if counted else None

    def subsample(self, documents):
        tokens = np.concatenate(documents)
        kept = self.rng.random(len(tokens), dtype=np.float32) < self.keep.take(tokens)
        kept_before = np.concatenate([[0], np.cumsum(kept, dtype=np.int32)], dtype=np.int32)
        ends = np.cumsum([len(document) for document in documents])
        return tokens[kept], np.diff(kept_before[ends], prepend=0)

    def draw_negatives(self, blocks):
        # A search for sorted numbers is faster; the shuffle makes the draws independent of their order.
        drawn = np.sort(self.rng.random(blocks * self.shape.shared))
        drawn = np.minimum(np.searchsorted(self.cumulative, drawn, side="right"), len(self.cumulative) - 1)
        self.rng.shuffle(drawn)
        return drawn.reshape(blocks, self.shape.shared).astype(np.int32)


def blocks(tokens, lengths, radius, block, window):
    """Cuts a stretch of text into blocks of centers, each with the tokens around it and its windows.

    Args:
        tokens: word ids of several documents, one after the other (time,).
        lengths: number of tokens in each document.
        radius: window of each token, 1 to `window` (time,).
        block: centers in a block.
        window: largest radius.

    Returns:
        centers (blocks, block); contexts (blocks, block + 2 window), from `window` tokens before the block to `window`
        after it; and rows of the `band_table` (blocks, block). The last block is padded with centers whose windows are
        empty. The contexts before the first and after the last token are padding, too, which no window includes.
    """
    count, ends = len(tokens), np.cumsum(lengths, dtype=np.int32)
    place = np.arange(count, dtype=np.int32)
    left = np.minimum(radius, place - np.repeat(ends - np.asarray(lengths, np.int32), lengths))
    right = np.minimum(radius, np.repeat(ends, lengths) - 1 - place)
    number = -(-count // block)
    padded = np.zeros(number * block + 2 * window, np.int32)
    padded[window : window + count] = tokens
    bands = np.zeros(number * block, np.int32)
    bands[:count] = left * (window + 1) + right
    bands = bands.reshape(number, block) + np.arange(block, dtype=np.int32) * (window + 1) ** 2
    centers = padded[window : window + number * block].reshape(number, block)
    return centers, np.lib.stride_tricks.sliding_window_view(padded, block + 2 * window)[::block], bands


def band_table(block, window):
    """Every window that a center of a block can have, as a row of ones and zeros over the block's contexts.

    Row (place * (window + 1) + left) * (window + 1) + right has `left` tokens before the center and `right` after it.
    """
    place = np.arange(block)[:, None, None, None]
    left = np.arange(window + 1)[:, None, None]
    right = np.arange(window + 1)[:, None]
    context = np.arange(block + 2 * window) - window
    inside = (context >= place - left) & (context <= place + right) & (context != place)
    return inside.reshape(block * (window + 1) ** 2, block + 2 * window).astype(np.float32)


class Batch(NamedTuple):
    """A batch of blocks: everything about a step that does not depend on the vectors."""

    vector_ids: np.ndarray  # the words whose vectors are used (blocks, ...); with `means`, their places in `of_words`
    context_ids: np.ndarray  # the words whose context vectors are used (blocks, ...)
    windows: np.ndarray  # rows of the `band_table` (blocks, block)
    of_words: tuple  # `sums_by_word` of the words whose vectors are used
    of_context_words: tuple  # `sums_by_word(context_ids)`
    means: Any = None  # the `MeansOfBatch` of `of_words`, with sub-words


class MeansOfRows:
    """The matrix that makes the vectors of all words from their rows, cut to the words of each batch."""

    def __init__(self, means):
        self.means = means
        self.used, self.places = np.zeros(means.shape[1], bool), np.empty(means.shape[1], np.int32)

    def of(self, words):
        """The `MeansOfBatch` of some words."""
        means, half = self.means[words], len(words) // 2
        self.used[means.indices] = True
        rows = np.flatnonzero(self.used)
        self.used[rows] = False
        self.places[rows] = np.arange(len(rows))
        ones = np.ones(len(means.indices), np.float32)
        sums = csr_array((ones, self.places[means.indices], means.indptr), shape=(len(words), len(rows))).T
        return MeansOfBatch(means[:half], means[half:], rows, sums)


class MeansOfBatch(NamedTuple):
    """How the vectors of a batch's words are made from rows, and which rows their gradients belong to."""

    first_half: csr_array  # (words / 2, all rows)
    second_half: csr_array
    rows: np.ndarray  # those of the batch
    sums: Any  # (rows, words): 1 for each row of a word

    def vectors(self, table, second_thread):
        """The vectors of the words, half of them from each thread."""
        second_thread.start(self.first_half.__matmul__, table)
        second = self.second_half @ table
        return np.concatenate([second_thread.result(), second])

    def steps(self, sums_by_word, gradients):
        """The sum of the gradients of each row.

        As in FastText, and as with the window of CBOW, each row moves by the whole gradient of the mean.
        """
        return self.sums @ (sums_by_word @ gradients.reshape(-1, gradients.shape[-1]))


class SkipGramGradients:
    """The gradients of every center against the words of its window and the negatives of its block.

    Args:
        bands: the `band_table`.
        shared: negatives of a block.
        share: the weight of a negative.
    """

    def __init__(self, bands, shared, share):
        self.sizes = bands.sum(axis=1)
        of_negatives = np.repeat(self.sizes[:, None] * share, shared, axis=1)
        self.half_weights = np.float32(0.5) * np.concatenate([bands, of_negatives], axis=1)
        self.sign = np.repeat(np.float32([1, -1]), [bands.shape[1], shared])

    def ids(self, centers, contexts, negatives):
        """The words whose vectors each block needs (blocks, ...), and those whose context vectors it needs."""
        return centers, np.concatenate([contexts, negatives], axis=1)

    def gradients(self, v, u, windows, measure):
        """Replaces v and u, the vectors of the `ids` of some blocks, with their gradients.

        Returns:
            The sum of the losses and the number of pairs, or None if they are not measured.
        """
        half_weights = self.half_weights.take(windows, axis=0)
        scores = v @ u.transpose(0, 2, 1)
        loss = (sum_of_losses(scores, self.sign, half_weights), self.sizes.take(windows).sum()) if measure else None
        errors = errors_of(scores, self.sign, half_weights)
        of_v = errors @ u
        np.matmul(errors.transpose(0, 2, 1), v, out=u)
        v[:] = of_v
        return loss


class CBOWGradients:
    """The gradients of the mean of each window against its center and the negatives of its block.

    As in word2vec.c, each word of a window moves by the whole gradient of the mean, which is not divided by the number
    of words. A center whose window is empty has the mean 0 and changes nothing.

    Args:
        bands, shared, share: as for `SkipGramGradients`.
    """

    def __init__(self, bands, shared, share):
        self.bands = bands
        self.scale = 1 / np.maximum(bands.sum(axis=1), 1) * bands.any(axis=1)  # from a window's sum to its mean
        self.half_weights = np.float32(0.5) * np.float32([1] + [share] * shared)
        self.sign = np.float32([1] + [-1] * shared)

    def ids(self, centers, contexts, negatives):
        """As `SkipGramGradients.ids`."""
        return contexts, np.concatenate([centers, negatives], axis=1)

    def gradients(self, v, u, windows, measure):
        """As `SkipGramGradients.gradients`, with the number of centers in place of pairs."""
        band, scale = self.bands.take(windows, axis=0), self.scale.take(windows)[:, :, None]
        u_center, u_negative = u[:, : windows.shape[1]], u[:, windows.shape[1] :]
        sums = band @ v
        scores = np.empty((*windows.shape, len(self.sign)), np.float32)
        np.vecdot(sums, u_center, out=scores[:, :, 0])
        np.matmul(sums, u_negative.transpose(0, 2, 1), out=scores[:, :, 1:])
        scores *= scale
        exists = scale > 0
        loss = (sum_of_losses(scores, self.sign, exists * self.half_weights), exists.sum()) if measure else None
        errors = errors_of(scores, self.sign, self.half_weights)
        of_mean = errors[:, :, 1:] @ u_negative
        of_mean += errors[:, :, :1] * u_center
        errors *= scale
        np.multiply(errors[:, :, :1], sums, out=u_center)
        np.matmul(errors[:, :, 1:].transpose(0, 2, 1), sums, out=u_negative)
        np.matmul(band.transpose(0, 2, 1), of_mean, out=v)
        return loss


ARCHITECTURES = {"skip_gram": SkipGramGradients, "cbow": CBOWGradients}


def errors_of(scores, sign, half_weights):
    """Replaces scores with d loss / d score: weights * (s(score) - 1 for a true word, s(score) for a negative).

    s(x) = (1 + tanh(x / 2)) / 2, and NumPy's tanh is several times faster than 1 / (1 + exp(-x)).
    """
    scores *= np.float32(0.5)
    np.tanh(scores, out=scores)
    scores -= sign
    scores *= half_weights
    return scores


def sum_of_losses(scores, sign, half_weights):
    """The weighted sum of -log s(sign * score)."""
    return float(np.sum(2 * half_weights * np.logaddexp(0, -sign * scores)))


def descend(table, words, sums, gradients, rate):
    """table[word] -= rate * (sum of the gradients of that word), for all words of a batch at once.

    Args:
        table: float32 (vocabulary, dimensions), changed in place.
        words, sums: the `sums_by_word` of the batch's word ids.
        gradients: float32 (*shape of the word ids, dimensions).
        rate: the learning rate.
    """
    move(table, words, sums @ gradients.reshape(-1, table.shape[1]), rate)


def move(table, rows, steps, rate):
    """table[rows] -= rate * steps, where no row moves farther than LONGEST_STEP.

    The step of a word that occurs often in a batch is the sum of many gradients, all taken at the same place. It can
    overshoot, and grow from batch to batch. With the bound, the vectors stay finite whatever the text. On Wikipedia,
    few rows of a batch reach it.

    Args:
        table: float32 (vocabulary, dimensions), changed in place.
        rows: different rows of the table.
        steps: float32 (rows, dimensions), overwritten.
        rate: the learning rate.
    """
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        some, step = rows[first : first + ROWS_AT_A_TIME], steps[first : first + ROWS_AT_A_TIME]
        step *= np.float32(rate)
        length = np.vecdot(step, step)
        far = np.flatnonzero(length > LONGEST_STEP**2)
        step[far] *= (LONGEST_STEP / np.sqrt(length[far]))[:, None]
        table[some] = np.subtract(table.take(some, axis=0), step, out=step)


def sums_by_word(ids):
    """The distinct words of ids, and the matrix that adds up the rows of each word: `sums @ rows`."""
    ids = ids.ravel()
    count, order = ids.size, order_of(ids)
    words = ids[order]
    first = np.flatnonzero(words[1:] != words[:-1]) + 1
    first = np.concatenate([[0], first, [count]], dtype=np.int32)
    return words[first[:-1]], csr_array((np.ones(count, np.float32), order, first), shape=(len(first) - 1, count))


def order_of(ids):
    """A stable argsort of ids below 2**32. NumPy sorts numbers of 16 bits by radix, much faster than others."""
    order = np.argsort(ids.astype(np.uint16), kind="stable")
    if ids.max(initial=0) >= 2**16:
        order = order[np.argsort((ids[order] >> 16).astype(np.uint16), kind="stable")]
    return order.astype(np.int32)


def places_of(words, sums):
    """The place in `words` of each id that `sums_by_word` was given."""
    places = np.empty(sums.shape[1], np.int32)
    places[sums.indices] = np.repeat(np.arange(len(words), dtype=np.int32), np.diff(sums.indptr))
    return places


def stretches(encoded):
    """Yields lists of whole documents, each list with STRETCH tokens or a little more, and the number of words read."""
    stretch, known, read = [], 0, 0
    for numbers, words in encoded:
        stretch.append(numbers)
        known, read = known + len(numbers), read + words
        if known >= STRETCH:
            yield stretch, read
            stretch, known, read = [], 0, 0
    if stretch:
        yield stretch, read


class SecondThread:
    """Runs one function at a time, in parallel with the thread that created it.

    An executor does the same, but its overhead is a tenth of the time of a step.
    """

    def __enter__(self):
        self.calls, self.results = SimpleQueue(), SimpleQueue()
        self.thread = Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.calls.put(None)
        self.thread.join()

    def start(self, function, *arguments):
        self.calls.put((function, arguments))

    def result(self):
        """Waits for the function, and returns its result or raises its error."""
        result, error = self.results.get()
        if error is not None:
            raise error
        return result

    def run(self):
        for function, arguments in iter(self.calls.get, None):
            try:
                self.results.put((function(*arguments), None))
            except BaseException as error:
                self.results.put((None, error))
