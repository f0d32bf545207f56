"""What a tagger loses and saves in eight bits: entity F1 and the size of its file, before and after `quantize`.

    python benchmarks/int8.py [--seeds 5] [--epochs 20] [--units 64]

The network is that of `harness/tagging.py`, a bidirectional LSTM of lesson 08's size under a CRF. It learns from the
training part of lesson 08's sentences and finds the entities of the test part. First the kernels of both LSTMs are
quantized, then the embeddings and the dense layer, too. The file has the weights alone, without the state of the
optimizer.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import keras
from harness import write_results
from harness.tagging import Tagger

from rnnkit.datasets import entities
from rnnkit.layers import LSTMCell
from rnnkit.metrics import EntityF1
from rnnkit.text import Vocabulary

STAGES = {  # what is quantized, one after the other
    "32-bit floats": (),
    "LSTMs in 8 bits": (LSTMCell,),
    "embeddings and dense layer, too": (keras.layers.Embedding, keras.layers.Dense),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--units", type=int, default=64, help="of each direction of the LSTM")
    arguments = parser.parse_args()
    train, _, test = entities()
    found = {stage: [] for stage in STAGES}
    for seed in range(arguments.seeds):
        tagger = Tagger(*train, units=arguments.units, seed=seed)
        tagger.fit(arguments.epochs)
        for stage, kinds in STAGES.items():
            if kinds:
                tagger.model.quantize("int8", filters=lambda layer, kinds=kinds: isinstance(layer, kinds))
            found[stage].append(measure(tagger, test))
            print(f"seed {seed}, {stage}: {found[stage][-1]}", flush=True)
    write_results(
        "int8",
        ["keras", "tensorflow"],
        **{"sentences learned": len(train.tokens), "sentences tested": len(test.tokens)},
        epochs=arguments.epochs,
        units=arguments.units,
        rows=[{"stage": stage, **summary(results)} for stage, results in found.items()],
    )


def measure(tagger, test):
    """F1 in percent, kilobytes of the file, and kilobytes of the LSTMs' weights."""
    tags = tagger.tag(test.tokens)
    numbers = Vocabulary([*test.tags, *tags])
    metric = EntityF1(numbers.tokens, ignore_class=0)
    metric.update_state(numbers.encode(test.tags), numbers.encode(tags))
    cells = [layer for layer in tagger.model._flatten_layers() if isinstance(layer, LSTMCell)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tagger.weights.h5"
        keras.Model(tagger.model.inputs, tagger.model.outputs).save_weights(path)  # a model without an optimizer
        size = path.stat().st_size
    lstm = sum(weight.numpy().nbytes for cell in cells for weight in cell.weights)
    return {"F1": 100 * metric.report()["micro"].f1, "file": size / 1000, "LSTMs": lstm / 1000}


def summary(results):
    each = [result["F1"] for result in results]
    sizes = {name: results[0][name] for name in ("file", "LSTMs")}
    return {"F1": statistics.mean(each), "each": each, **sizes}


if __name__ == "__main__":
    main()
