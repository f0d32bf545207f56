"""The few sizes to which an axis is padded whose size is not known beforehand.

XLA compiles a program for each size. Few sizes are few programs to compile; many are little to compute in vain.
"""

import tensorflow as tf

LARGEST = 2**30


def _sizes(sizes, per_octave):
    """These sizes, and from the last on up to each double of it, so many that are equally far apart."""
    while sizes[-1] < LARGEST:
        octave = range(sizes[-1], 2 * sizes[-1] + 1, sizes[-1] // per_octave)
        sizes = [*sizes, *octave[1:]]
    return sizes


LENGTHS = _sizes([16, 64], per_octave=1)  # a loop takes no step in the padding: only its tensors have room for it
ROWS = _sizes(list(range(9)), per_octave=8)


def padded(x, axis, sizes):
    """`x` with zeros at the end of an axis, up to the next one of these sizes."""
    size = tf.shape(x)[axis]
    added = tf.gather(sizes, tf.searchsorted(sizes, [size]))[0] - size
    result = tf.pad(x, [[0, added if k == axis else 0] for k in range(len(x.shape))])
    return tf.ensure_shape(result, [None if k == axis else n for k, n in enumerate(x.shape)])
