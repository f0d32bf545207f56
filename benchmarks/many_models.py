"""Fifty models of fifty sizes, one after the other, each deleted: does memory grow faster than with keras.layers?

    python benchmarks/many_models.py [--models 50]

Each model is built, compiled, fitted on two batches, asked for predictions and deleted, with
`keras.backend.clear_session()` and a garbage collection after it. Rnnkit and Keras have a process each, in turn, three
rounds; memory is what is resident after the last model, less what was after the tenth. Linux only.
"""

import argparse
import gc
import json
import statistics
from pathlib import Path

from harness import in_a_process_of_its_own, in_turn, write_results

WARM_UP, ROUNDS = 10, 3
LAYERS = ("LSTM", "GRU")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(megabytes_per_model(*arguments.run, arguments.models)))
        return
    rows = []
    for layer in LAYERS:
        contenders = {
            library: lambda library=library, layer=layer: in_a_process_of_its_own(
                "--models", arguments.models, "--run", library, layer
            )
            for library in ("rnnkit", "keras")
        }
        found = in_turn(contenders, ROUNDS)
        rows.append({"layer": layer, **{library: statistics.median(values) for library, values in found.items()}})
        print(f"{layer:6} rnnkit {rows[-1]['rnnkit']:6.2f}  keras {rows[-1]['keras']:6.2f} MB per model", flush=True)
    write_results("many_models", ["keras", "tensorflow"], models=arguments.models, rows=rows)


def megabytes_per_model(library, layer, models):
    import keras
    import numpy as np

    import rnnkit.layers

    make = getattr({"rnnkit": rnnkit.layers, "keras": keras.layers}[library], layer)
    x, y = np.zeros((16, 20, 8), "float32"), np.zeros((16, 1), "float32")
    before = 0.0
    for number in range(models):
        model = keras.Sequential([keras.Input((20, 8)), make(8 + number), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=8, verbose=0)
        model.predict(x, verbose=0)
        del model
        keras.backend.clear_session()
        gc.collect()
        if number + 1 == WARM_UP:
            before = resident_megabytes()
    return (resident_megabytes() - before) / (models - WARM_UP)


def resident_megabytes():
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
