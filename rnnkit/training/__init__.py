"""Ways to train a recurrent network that `fit` alone does not offer, one per file."""

from rnnkit.training.bptt import truncated_bptt
from rnnkit.training.scheduled_sampling import ScheduledSampling, inverse_sigmoid_decay

__all__ = ["ScheduledSampling", "inverse_sigmoid_decay", "truncated_bptt"]
