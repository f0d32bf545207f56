"""Lesson 04: the weights of Keras's GRU, with the reset before the product, in the form of Chung et al. (2014)."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(kernel, recurrent_kernel):
    z, r, candidate = np.split(np.concatenate([recurrent_kernel, kernel]).T, 3)
    return -z, r, candidate


MISTAKES = [
    KnownMistake("z is left as it is, but it is the other way round in Chung et al.", ("-z", "z")),
    KnownMistake("1 minus the weights of z is taken: the gate becomes 1 - z, not its weights", ("-z", "1 - z")),
    KnownMistake("the weights of r are negated, too", ("-z, r", "-z, -r")),
    KnownMistake("the weights of r are negated instead of those of z", ("-z, r", "z, -r")),
    KnownMistake("all weights are negated: only z is the other way round", ("-z, r, candidate", "-z, -r, -candidate")),
    KnownMistake("z and r are swapped: the order is z, r, h~", ("z, r, candidate =", "r, z, candidate =")),
    KnownMistake("the columns are read in the order h~, z, r", ("z, r, candidate =", "candidate, z, r =")),
    KnownMistake(
        "the weights of x come before those of h", ("[recurrent_kernel, kernel]", "[kernel, recurrent_kernel]")
    ),
    KnownMistake(
        "the matrices are not transposed: in Chung et al. they are to the left of [h, x]",
        ("kernel]).T, 3)", "kernel]), 3, axis=1)"),
    ),
    KnownMistake(
        "the weights of h are not transposed, those of x are",
        ("[recurrent_kernel,", "[np.hstack([W.T for W in np.split(recurrent_kernel, 3, axis=1)]),"),
    ),
]


def cases(random):
    def layer(features, units):
        sizes = {"kernel": (features, 3 * units), "recurrent_kernel": (units, 3 * units)}
        return {name: random.normal(size=size) for name, size in sizes.items()}

    return [("3 inputs, 4 units", layer(3, 4)), ("5 inputs, 2 units", layer(5, 2)), ("4 inputs, 4 units", layer(4, 4))]


SHAPE = ["units", "units + inputs"]
keras_to_chung = Check(
    "keras_to_chung", reference, cases, returns={"W_z": SHAPE, "W_r": SHAPE, "W": SHAPE}, mistakes=MISTAKES
)
