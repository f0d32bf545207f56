"""Names in sentences, found by a BiLSTM-CRF that is trained on one machine or on several.

Alone, on all GPUs of this machine, or on its processor if it has none:

    python examples/distributed_ner.py

On two machines, the same command on each. TF_CONFIG lists all workers, in the same order everywhere, and says which one
this machine is: the second has "index": 1. Any free ports do; two workers on one machine are two ports of localhost.
They wait for each other, and trust anyone who can reach these ports: keep everyone else away from them.

    export TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                       "task": {"type": "worker", "index": 0}}'
    python examples/distributed_ner.py

Each worker holds the whole model and learns from its part of every batch; after a step, all have the same weights.

- N workers get the losses and the weights of one, up to the rounding of sums: together they see the same batches, and
  the gradient of a batch is the mean over all its sentences. N must divide BATCH. Two usual things would break this and
  are therefore missing: dropout, which each worker draws for itself, and gradient clipping, which Keras does before it
  adds up the gradients of the workers.
- When a worker dies, the others stop with an error within seconds. Start all of them again with the same command, even
  with another number of workers: they continue after the last whole epoch and end as if nothing had happened.
- Worker 0 alone reads and writes files; the machines need no common disk: in --folder, the backup of the last
  epoch, and at the end tagger.keras.

Why the loop over the batches is written out here: `Model.fit` of Keras 3 fails under MultiWorkerMirroredStrategy
(https://github.com/keras-team/keras/issues/20585). Its step, `Model.train_step`, does not, and is all that we need.
"""

import argparse
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from rnnkit import datasets, layers
from rnnkit.metrics import EntityF1
from rnnkit.text import Vocabulary

BATCH = 32  # sentences, of all workers together
CASES = ["", "lower", "Title", "UPPER", "other"]
TAGS = ["O", *[f"{place}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for place in "BI"]]


def main(epochs, folder):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # without TF_CONFIG, this process is the only worker
    first = not strategy.cluster_resolver.task_id
    if BATCH % strategy.num_replicas_in_sync:
        raise SystemExit(f"{strategy.num_replicas_in_sync} replicas cannot share {BATCH} sentences: change BATCH.")

    corpus = datasets.entities()
    vocabulary = frequent_words(corpus.train)
    with strategy.scope():  # all variables are made in here: each worker gets a copy of each
        keras.utils.set_random_seed(1)
        model = tagger(len(vocabulary))
        model.compile(keras.optimizers.Adam(5e-3), layers.CRFLoss())
        model.optimizer.build(model.trainable_variables)

    backup = keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True)
    backup.set_model(model)
    if first:
        restore(backup)
    share_values_of_first(strategy, [*model.weights, *model.optimizer.variables])

    step = training_step(strategy, model)
    inputs, tags = encode(corpus.train, vocabulary)
    steps = len(tags) // BATCH  # the sentences that are left over are others in the next epoch
    for epoch in range(int(model.optimizer.iterations.numpy()) // steps, epochs):
        order = np.random.default_rng(epoch).permutation(len(tags))  # depends on nothing that a restart would lose
        model.reset_metrics()
        for rows in order[: steps * BATCH].reshape(steps, BATCH):
            step(([numbers[rows] for numbers in inputs], tags[rows]))
        loss = float(model.get_metrics_result()["loss"])  # adds up those of all workers: all of them must ask
        if first:
            backup.on_epoch_end(epoch)
            print(f"epoch {epoch + 1} of {epochs}: loss {loss:.6f}", flush=True)

    if first:
        inputs, tags = encode(corpus.test, vocabulary)
        f1 = EntityF1(TAGS)
        f1.update_state(tags, model(inputs), sample_weight=inputs[0] > 0)
        print(f"F1 of the test sentences: {float(f1.result()):.0%}")
        model.save(folder / "tagger.keras")
        backup.on_train_end()  # removes the backup


def training_step(strategy, model):
    """A function that trains the compiled model on a batch `(inputs, targets)` of all replicas together.

    A replica is a worker or, on a worker with several GPUs, one of them. The loss is the mean over the rows of a
    replica, and Keras divides it by the number of replicas. So the sum of all gradients, which the optimizer takes, is
    the gradient of the mean over all rows: provided that each replica has equally many.
    """

    @tf.function
    def train(batch):
        strategy.run(model.train_step, args=(batch,))

    def step(batch):
        def rows_of(replica):
            index, count = replica.replica_id_in_sync_group, replica.num_replicas_in_sync
            return keras.tree.map_structure(lambda array: tf.convert_to_tensor(array[index::count]), batch)

        train(strategy.experimental_distribute_values_from_function(rows_of))

    return step


def restore(backup):
    """Takes weights and optimizer from the backup, if there is one.

    A worker may be killed while it writes. Then the file of the weights cannot be opened, and Keras takes the one
    before it (`double_checkpoint`). A second file, with the number of the epoch, has no such net, and we do without it:
    the optimizer has counted its steps.
    """
    for file in Path(backup.backup_dir).glob("training_metadata.json*"):
        file.unlink()
    backup.on_train_begin()


def share_values_of_first(strategy, variables):
    """Gives the variables of all workers the values of worker 0: a sum in which all others are zero."""

    @tf.function
    def shared():
        def sums():
            replica = tf.distribute.get_replica_context()
            is_first = replica.replica_id_in_sync_group == 0
            return [replica.all_reduce("SUM", tf.where(is_first, v, tf.zeros_like(v))) for v in variables]

        return strategy.run(sums)

    for variable, value in zip(variables, shared(), strict=True):
        variable.assign(strategy.experimental_local_results(value)[0])


def tagger(words):
    """From the numbers of words and of their cases, both `(batch, time)`, to the best sequence of tags."""
    inputs = [keras.Input((None,), dtype="int32") for _ in range(2)]
    mask = keras.ops.not_equal(inputs[0], 0)
    embeddings = [keras.layers.Embedding(words, 50), keras.layers.Embedding(len(CASES), 8)]
    vectors = [embedding(numbers) for embedding, numbers in zip(embeddings, inputs, strict=True)]
    lstm = layers.Bidirectional(layers.LSTM(50, return_sequences=True))
    emissions = keras.layers.Dense(len(TAGS))(lstm(keras.ops.concatenate(vectors, axis=-1), mask=mask))
    return keras.Model(inputs, layers.CRF(len(TAGS), constraints=TAGS)(emissions, mask=mask))


def frequent_words(sentences):
    """All words that occur twice or more, in lower case."""
    counts = Counter(word.lower() for words in sentences.tokens for word in words)
    return Vocabulary([[word for word, count in counts.items() if count > 1]], unknown="<unknown>")


def encode(sentences, vocabulary):
    """What the tagger reads, and the tags: int32, `(sentences, time)`."""
    words = vocabulary.encode([[word.lower() for word in words] for words in sentences.tokens])
    cases, tags = np.zeros_like(words), np.zeros_like(words)
    for row, (tokens, names) in enumerate(zip(*sentences, strict=True)):
        cases[row, : len(tokens)] = [CASES.index(case(token)) for token in tokens]
        tags[row, : len(tokens)] = [TAGS.index(name) for name in names]
    return [words, cases], tags


def case(word):
    return "lower" if word.islower() else "Title" if word.istitle() else "UPPER" if word.isupper() else "other"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=6, help="default: %(default)s")
    parser.add_argument(
        "--folder", type=Path, default="build/distributed_ner", help="of worker 0 (default: %(default)s)"
    )
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.folder)
