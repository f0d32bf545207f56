"""Random scores of a CRF in NumPy, which the checks hand to a student's function."""

import numpy as np


def crf_scores(random, mask, tags=4, shift=0.0):
    """Emissions, mask, start, transitions and end, in this order; the emissions in the padding are large.

    Args:
        random: generator of random numbers.
        mask: array of shape `(batch, time)`.
        tags: number of tags. Defaults to `4`.
        shift: number that is added to all emissions. Defaults to `0.0`.

    Returns:
        Dictionary from name to array.
    """
    mask = np.array(mask, "bool")
    emissions = random.normal(size=(*mask.shape, tags))
    return {
        "emissions": shift + np.where(mask[..., None], emissions, 4 * emissions + 3),
        "mask": mask,
        "start": random.normal(size=tags),
        "transitions": random.normal(size=(tags, tags)),
        "end": random.normal(size=tags),
    }
