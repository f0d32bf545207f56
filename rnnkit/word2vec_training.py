"""How `Word2Vec` trains: a stretch of text as a whole, in NumPy, on two threads.

A block of neighbouring centres shares its contexts and its negatives: the scores of all its pairs are one matrix
product, and the window is a band of it. A batch of blocks is one step of gradient descent.

The second thread prepares the next batch, and moves the context vectors while the first moves the vectors. They never
write to the same table, and each step waits for both: the result does not depend on which is faster.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

FIRST_RATE = {"skip_gram": 0.025, "cbow": 0.05}  # the learning rate of the first token, as in word2vec.c
LAST_RATE = 1e-4  # and of the last; it falls linearly in between
LONGEST_STEP = 1.0  # no vector moves farther than this in one batch
LARGEST_WINDOW = 50  # the table of windows grows with its cube
STRETCH = 2**17  # tokens that are prepared together
MEASURE_EVERY = 64  # batches between two measurements of the loss


class Shape(NamedTuple):
    """The sizes of a batch, by measurement: larger is faster, until quality falls."""

    block: int  # neighbouring centres that share their negatives
    shared: int  # negatives of a block
    batch: int  # blocks in one step of gradient descent


SHAPES = {"skip_gram": Shape(block=32, shared=24, batch=56), "cbow": Shape(block=16, shared=8, batch=128)}


class Trainer:
    """Turns documents of word numbers into batches, and takes one step for each.

    Args:
        model: the `Word2Vec`, for its settings.
        vectors, context_vectors: float32 (vocabulary, dimensions), trained in place.
        keep: the probability that an occurrence of a word is kept (vocabulary,).
        negative: the probability that a word is drawn as a negative (vocabulary,).
        rng: NumPy generator of all random draws.
    """

    def __init__(self, model, vectors, context_vectors, keep, negative, rng):
        self.vectors, self.context_vectors, self.rng = vectors, context_vectors, rng
        self.architecture, self.window = ARCHITECTURES[model.architecture], model.window
        self.shape = SHAPES[model.architecture]
        self.first_rate = FIRST_RATE[model.architecture]
        self.keep = keep.astype(np.float32)
        self.cumulative = np.cumsum(negative)
        self.bands = band_table(self.shape.block, model.window)
        # A block shares its negatives, so that each centre meets `shared` of them where word2vec.c draws `negatives`.
        # Weighted by negatives / shared, their expected loss, and its gradient, are the same.
        self.share = np.float32(model.negatives / self.shape.shared)

    def train(self, documents, start, end):
        """Trains on documents; start and end say which part of the whole training this is. Returns measured losses."""
        tokens, lengths = self.subsample(documents)
        if not len(tokens):
            return []
        radius = self.rng.integers(1, self.window + 1, len(tokens)).astype(np.int32)
        centres, contexts, bands = blocks(tokens, lengths, radius, self.shape.block, self.window)
        negatives = self.draw_negatives(len(centres))

        def prepare(first):
            rows = slice(first, first + self.shape.batch)
            band = self.bands.take(bands[rows], axis=0)
            return self.architecture.prepare(centres[rows], contexts[rows], negatives[rows], band, self.share)

        firsts, losses = range(0, len(centres), self.shape.batch), []
        with ThreadPoolExecutor(1) as second_thread:
            upcoming = second_thread.submit(prepare, 0)
            for number, first in enumerate(firsts):
                batch = upcoming.result()
                if number + 1 < len(firsts):
                    upcoming = second_thread.submit(prepare, firsts[number + 1])
                place = start + (end - start) * first / len(centres)
                rate = self.first_rate + (LAST_RATE - self.first_rate) * place
                loss = self.step(batch, rate, second_thread, measure=number % MEASURE_EVERY == 0)
                if loss is not None:
                    losses.append(loss)
        return losses

    def step(self, batch, rate, second_thread, measure=False):
        """One step of gradient descent on both tables; the mean loss where it is measured and there is one."""
        tables = self.vectors, self.context_vectors
        loss, of_vectors, of_context_vectors = self.architecture.gradients(*tables, batch, measure)
        moved = second_thread.submit(
            lambda: descend(self.context_vectors, batch.context_rows, of_context_vectors(), rate)
        )
        descend(self.vectors, batch.vector_rows, of_vectors(), rate)
        moved.result()
        return loss

    def subsample(self, documents):
        tokens = np.concatenate(documents)
        kept = self.rng.random(len(tokens), dtype=np.float32) < self.keep.take(tokens)
        kept_before = np.concatenate([[0], np.cumsum(kept, dtype=np.int32)], dtype=np.int32)
        ends = np.cumsum([len(document) for document in documents])
        return tokens[kept], np.diff(kept_before[ends], prepend=0)

    def draw_negatives(self, blocks):
        # Sorted numbers are found faster than unsorted ones; the shuffle makes the draws independent of their order.
        drawn = np.sort(self.rng.random(blocks * self.shape.shared))
        drawn = np.minimum(np.searchsorted(self.cumulative, drawn, side="right"), len(self.cumulative) - 1)
        self.rng.shuffle(drawn)
        return drawn.reshape(blocks, self.shape.shared).astype(np.int32)


def blocks(tokens, lengths, radius, block, window):
    """Cuts a stretch of text into blocks of centres, each with the tokens around it and its windows.

    Args:
        tokens: Word numbers of several documents, one after the other (time,).
        lengths: Tokens in each document.
        radius: Window of each token, 1 to `window` (time,).

    Returns:
        centres (blocks, block); contexts (blocks, block + 2 window), from `window` tokens before the block to `window`
        after; and rows of the `band_table` (blocks, block). The last block is filled up with centres whose windows
        are empty, and so are the contexts before the first and after the last token.
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
    centres = padded[window : window + number * block].reshape(number, block)
    return centres, np.lib.stride_tricks.sliding_window_view(padded, block + 2 * window)[::block], bands


def band_table(block, window):
    """Every window that a centre of a block can have, as a row of ones and zeros over the block's contexts.

    Row (place * (window + 1) + left) * (window + 1) + right: `left` tokens before the centre and `right` after it.
    """
    place = np.arange(block)[:, None, None, None]
    left = np.arange(window + 1)[:, None, None]
    right = np.arange(window + 1)[:, None]
    context = np.arange(block + 2 * window) - window
    inside = (context >= place - left) & (context <= place + right) & (context != place)
    return inside.reshape(block * (window + 1) ** 2, block + 2 * window).astype(np.float32)


class Batch(NamedTuple):
    """A batch of blocks: all that a step needs to know before it sees the vectors."""

    vector_ids: np.ndarray  # the words whose vectors are used (blocks, ...)
    context_ids: np.ndarray  # the words whose context vectors are used (blocks, ...)
    vector_rows: "Rows"  # how the gradients of equal words are summed
    context_rows: "Rows"
    band: np.ndarray  # 1 where a context is in the window of a centre (blocks, block, block + 2 window)
    sizes: np.ndarray  # the words in the window of each centre (blocks, block, 1)
    weights: np.ndarray  # of each pair in the loss; 0 where there is no pair


class SkipGram:
    """Every centre against the words of its window and the negatives of its block."""

    def prepare(centres, contexts, negatives, band, share):
        """The `Batch` of centres (blocks, block), contexts (blocks, block + 2 window), negatives (blocks, shared)."""
        candidates = np.concatenate([contexts, negatives], axis=1)
        sizes = band.sum(axis=2, keepdims=True)
        shared = np.broadcast_to(sizes * share, (*centres.shape, negatives.shape[1]))
        weights = np.concatenate([band, shared], axis=2)
        return Batch(centres, candidates, rows_of(centres), rows_of(candidates), band, sizes, weights)

    def gradients(vectors, context_vectors, batch, measure):
        """The mean loss of a pair, or None, and two functions that give the gradients of the batch's rows."""
        sign = np.ones(batch.weights.shape[2], np.float32)
        sign[batch.band.shape[2] :] = -1
        v, u = vectors.take(batch.vector_ids, axis=0), context_vectors.take(batch.context_ids, axis=0)
        scores = v @ u.transpose(0, 2, 1)
        loss = mean_loss(scores, sign, batch.weights, batch.sizes.sum()) if measure else None
        errors = errors_of(scores, sign, batch.weights)
        return loss, lambda: errors @ u, lambda: errors.transpose(0, 2, 1) @ v


class CBOW:
    """The mean of each window against its centre and the negatives of its block.

    As in word2vec.c each word of a window moves by the gradient of the mean, not by its own part 1 / (window's words)
    of it. A centre whose window is empty has the mean 0 and changes nothing.
    """

    def prepare(centres, contexts, negatives, band, share):
        """As `SkipGram.prepare`."""
        candidates = np.concatenate([centres, negatives], axis=1)
        sizes = band.sum(axis=2, keepdims=True)
        return Batch(contexts, candidates, rows_of(contexts), rows_of(candidates), band, sizes, share)

    def gradients(vectors, context_vectors, batch, measure):
        """The mean loss of a centre, or None, and two functions that give the gradients of the batch's rows."""
        block = batch.band.shape[1]
        mean = batch.band @ vectors.take(batch.vector_ids, axis=0)
        mean /= np.maximum(batch.sizes, 1)
        u = context_vectors.take(batch.context_ids, axis=0)
        u_centre, u_negative = u[:, :block], u[:, block:]
        scores = np.vecdot(mean, u_centre)[:, :, None]
        negative_scores = mean @ u_negative.transpose(0, 2, 1)
        loss = None
        if measure:
            exists = (batch.sizes > 0).astype(np.float32)
            loss = mean_loss(scores, 1, exists, exists.sum())
            loss = loss and loss + mean_loss(negative_scores, -1, exists * batch.weights, exists.sum())
        errors, negative_errors = errors_of(scores, 1, 1), errors_of(negative_scores, -1, batch.weights)

        def of_vectors():
            mean_gradient = negative_errors @ u_negative
            mean_gradient += np.multiply(errors, u_centre, out=u_centre)  # which nobody needs any more
            return batch.band.transpose(0, 2, 1) @ mean_gradient

        def of_context_vectors():
            gradients = np.empty_like(u)
            np.multiply(errors, mean, out=gradients[:, :block])
            np.matmul(negative_errors.transpose(0, 2, 1), mean, out=gradients[:, block:])
            return gradients

        return loss, of_vectors, of_context_vectors


ARCHITECTURES = {"skip_gram": SkipGram, "cbow": CBOW}


def errors_of(scores, sign, weights):
    """d loss / d score, in the place of scores: weights * (s(score) - 1 for a true word, s(score) for a negative).

    s(x) = (1 + tanh(x / 2)) / 2, and NumPy's tanh is several times faster than 1 / (1 + exp(-x)).
    """
    scores *= np.float32(0.5)
    np.tanh(scores, out=scores)
    scores -= sign
    scores *= np.float32(0.5) * weights
    return scores


def mean_loss(scores, sign, weights, count):
    """Sum of -log s(sign * score), weighted, divided by the count; None where the count is 0."""
    return float(np.sum(weights * np.logaddexp(0, -sign * scores)) / count) if count else None


class Rows(NamedTuple):
    """How the rows of equal words are summed: `sums @ gradients` has one row for each of `words`."""

    words: np.ndarray
    sums: csr_array


def rows_of(ids):
    """The `Rows` of word numbers of any shape."""
    count, bits = ids.size, np.int64(ids.size.bit_length())
    keys = np.sort((ids.ravel().astype(np.int64) << bits) | np.arange(count))  # the word, then its place
    words, order = keys >> bits, keys & ((1 << bits) - 1)
    first = np.concatenate([[0], np.flatnonzero(words[1:] != words[:-1]) + 1, [count]])
    ones = np.ones(count, np.float32)
    return Rows(words[first[:-1]], csr_array((ones, order, first), shape=(len(first) - 1, count)))


def descend(table, rows, gradients, rate):
    """table[word] -= rate * (sum of the gradients of that word), for all words of a batch at once.

    A word that occurs often in a batch sums many gradients, all taken at the same place, so that the step can
    overshoot, and grow from batch to batch. Therefore no row moves farther than LONGEST_STEP, and the vectors stay
    finite whatever the text. On Wikipedia few rows of a batch reach the bound.

    Args:
        table: float32 (vocabulary, dimensions), changed in place.
        rows: the `Rows` of the batch's word numbers.
        gradients: float32 (*shape of the word numbers, dimensions).
        rate: the learning rate.
    """
    step = rows.sums @ gradients.reshape(-1, table.shape[1])
    step *= np.float32(rate)
    length = np.vecdot(step, step)
    far = np.flatnonzero(length > LONGEST_STEP**2)
    step[far] *= (LONGEST_STEP / np.sqrt(length[far]))[:, None]
    table[rows.words] -= step


def stretches(encoded):
    """Whole documents, together STRETCH tokens or a little more; and the number of all words in them."""
    stretch, known, read = [], 0, 0
    for numbers, words in encoded:
        stretch.append(numbers)
        known, read = known + len(numbers), read + words
        if known >= STRETCH:
            yield stretch, read
            stretch, known, read = [], 0, 0
    if stretch:
        yield stretch, read
