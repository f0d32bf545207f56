"""What takes too long for lesson 06: each stack from five starts, at the learning rate that suits it best.

python benchmarks/lesson_06.py             about 8 minutes on two cores; writes data/results/06_stacked.json
python benchmarks/lesson_06.py "1 layer"   only this stack; the others stay as they are in the file

The clips, the eye, the stacks and the training are those of the lesson. Each stack tries two learning rates from
start 0; the one with the best mean of both accuracies on the validation clips trains it from starts 1 to 5.
"""

import json
import sys

import keras
import numpy as np
from harness import OF_LESSONS, write_results

from rnnkit import datasets, layers

BATCH, BUDGET = 50, 20_000
RATES = (5e-3, 1.5e-2)
STARTS = (1, 2, 3, 4, 5)
STACKS = {  # depth, residual, bidirectional; epochs
    "1 layer": ((1, False, False), 8),
    "2 layers, plain": ((2, False, False), 8),
    "2 layers, residual": ((2, True, False), 8),
    "4 layers, plain": ((4, False, False), 8),
    "4 layers, residual": ((4, True, False), 8),
    "1 layer, both directions": ((1, False, True), 8),
    "2 layers, residual, both directions": ((2, True, True), 8),
    "4 layers, plain, 24 epochs": ((4, False, False), 24),
}


def main():
    train, validation, test = [
        datasets.digit_videos(samples, frames=(9, 12), split=split, seed=seed)
        for samples, split, seed in ((3000, "train", 1), (1000, "validation", 2), (1000, "test", 3))
    ]
    eye = trained_eye(train, validation)
    seen = [
        np.array(eye(pixels(clips).reshape(-1, 100))).reshape(*clips.mask.shape, 32)
        for clips in (train, validation, test)
    ]
    measured, only = {}, sys.argv[1:]
    if only:
        measured = json.loads((OF_LESSONS / "06_stacked.json").read_text(encoding="utf-8"))["stacks"]
    for name in only or STACKS:
        measured[name] = measure(name, seen, (train, validation, test))
    packages = ["keras", "tensorflow", "numpy"]
    write_results("06_stacked", packages, folder=OF_LESSONS, batch=BATCH, starts=len(STARTS), stacks=measured)


def measure(name, seen, parts):
    """The best learning rate of a stack, and its accuracies from each start on the validation and the test clips."""
    (kind, epochs), (_, validation, _) = STACKS[name], parts
    trainer = Trainer(kind, epochs, seen[0], parts[0])
    by_rate = {}
    for rate in RATES:
        trainer.run(0, rate)
        by_rate[rate] = trainer.accuracies(seen[1], validation)
    best = max(by_rate, key=lambda rate: sum(by_rate[rate]))
    results = {"units": width(*kind), "epochs": epochs, "rate": best}
    results["by_rate"] = {str(rate): pair for rate, pair in by_rate.items()}
    results |= {key: [] for key in ("frames", "clips", "test_frames", "test_clips")}
    for start in STARTS:
        trainer.run(start, best)
        for part, x, clips in zip(("", "test_"), seen[1:], parts[1:], strict=True):
            frames_right, clips_right = trainer.accuracies(x, clips)
            results[f"{part}frames"].append(frames_right)
            results[f"{part}clips"].append(clips_right)
    print(f"{name:36} rate {best}  frames {results['frames']}  clips {results['clips']}", flush=True)
    return results


def pixels(clips):
    return clips.frames.reshape(*clips.mask.shape, 100)


def trained_eye(train, validation):
    """The network that looks at one frame, up to its last hidden layer."""
    keras.utils.set_random_seed(1)
    eye = keras.Sequential([keras.Input((100,))])
    for units in (128, 32):
        eye.add(keras.layers.Dense(units, activation="relu"))
    eye.add(keras.layers.Dense(10))
    eye.compile(keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    frames = [(pixels(clips)[clips.mask], clips.frame_labels[clips.mask]) for clips in (train, validation)]
    eye.fit(*frames[0], validation_data=frames[1], epochs=8, batch_size=256, verbose=0)
    return keras.Model(eye.inputs[0], eye.layers[-2].output)


def weights_of_stack(depth, units, bidirectional):
    """Weights of a stack of LSTM layers that reads 32 numbers."""
    directions = 2 if bidirectional else 1
    inputs = [32] + [directions * units] * (depth - 1)
    return sum(directions * 4 * units * (size + units + 1) for size in inputs)


def width(depth, residual, bidirectional):
    return min(range(1, 100), key=lambda units: abs(weights_of_stack(depth, units, bidirectional) - BUDGET))


def reader(depth, residual, bidirectional):
    sequence, mask = keras.Input((None, 32)), keras.Input((None,), dtype="bool")
    stack = [layers.LSTM(width(depth, residual, bidirectional)) for _ in range(depth)]
    if bidirectional:
        stack = [layers.Bidirectional(layer) for layer in stack]
    stack = layers.Stacked(stack, residual=residual, return_sequences=True, return_state=True)
    outputs, *states = stack(sequence, mask=mask)
    end = outputs[:, -1]
    if bidirectional:  # each direction has read the whole clip at its own end
        end = keras.layers.Concatenate()([states[-4], states[-2]])
    answers = {"digit": keras.layers.Dense(10, name="digit")(outputs), "clip": keras.layers.Dense(4, name="clip")(end)}
    return keras.Model([sequence, mask], answers)


class Trainer:
    """One stack, trained from many starts in one compiled graph."""

    def __init__(self, kind, epochs, x, clips):
        self.kind, self.epochs, self.x, self.clips = kind, epochs, x, clips
        self.model = reader(*self.kind)
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
        self.model.compile(optimizer, {"digit": cross_entropy, "clip": cross_entropy})
        optimizer.build(self.model.trainable_variables)

    def run(self, start, rate):
        keras.utils.set_random_seed(start)
        self.model.set_weights(reader(*self.kind).get_weights())
        optimizer = self.model.optimizer
        for variable in optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        targets = {"digit": self.clips.frame_labels, "clip": self.clips.clip_labels}
        weights = {"digit": self.clips.mask.astype("float32"), "clip": np.ones(len(self.x))}
        steps = self.epochs * len(self.x) // BATCH

        def set_rate(batch, logs=None):  # falls to zero along half a cosine, as keras's CosineDecay
            optimizer.learning_rate = rate * (1 + np.cos(np.pi * int(optimizer.iterations) / steps)) / 2

        self.model.fit(
            [self.x, self.clips.mask],
            targets,
            sample_weight=weights,
            epochs=self.epochs,
            batch_size=BATCH,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=set_rate)],
        )

    def accuracies(self, x, clips):
        """Of the frames and of the clips."""
        answers = self.model([x, clips.mask])
        frames_right = np.argmax(answers["digit"], axis=-1) == clips.frame_labels
        clips_right = np.argmax(answers["clip"], axis=-1) == clips.clip_labels
        return round(float(np.mean(frames_right[clips.mask])), 4), round(float(np.mean(clips_right)), 4)


if __name__ == "__main__":
    main()
