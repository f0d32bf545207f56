"""The checks of the coding exercises: each tries a function and, if it is wrong, says what is wrong with it.

In a lesson, the cell behind the exercise `lstm_step` calls `checks.lstm_step(lstm_step)`. What is right prints a line;
what is wrong raises a `Mistake`, an AssertionError. A check has the name of the function that it tries.
"""

from rnnkit.checks.attend import attend
from rnnkit.checks.beam_by_hand import beam_by_hand
from rnnkit.checks.best_path import best_path
from rnnkit.checks.best_with_delay import best_with_delay
from rnnkit.checks.bidirectional_rows import bidirectional_rows
from rnnkit.checks.calibration_error import calibration_error
from rnnkit.checks.check import Check
from rnnkit.checks.damped import damped
from rnnkit.checks.draw_negatives import draw_negatives
from rnnkit.checks.elman_backwards import elman_backwards
from rnnkit.checks.elman_gradients import elman_gradients
from rnnkit.checks.entity_scores import entity_scores
from rnnkit.checks.greedy_by_hand import greedy_by_hand
from rnnkit.checks.in_pieces import in_pieces
from rnnkit.checks.keras_gru_step import keras_gru_step
from rnnkit.checks.keras_to_deck import keras_to_deck
from rnnkit.checks.known_mistake import KnownMistake
from rnnkit.checks.log_partition import log_partition
from rnnkit.checks.lstm_step import lstm_step
from rnnkit.checks.merge_runs import merge_runs
from rnnkit.checks.mistake import Mistake
from rnnkit.checks.negative_sampling_step import negative_sampling_step
from rnnkit.checks.odd_one_out import odd_one_out
from rnnkit.checks.one_step_at_a_time import one_step_at_a_time
from rnnkit.checks.parcels import parcels
from rnnkit.checks.resetting_adder import resetting_adder
from rnnkit.checks.run_masked import run_masked
from rnnkit.checks.truncated_gradient import truncated_gradient

__all__ = [
    "Check",
    "KnownMistake",
    "Mistake",
    "attend",
    "beam_by_hand",
    "best_path",
    "best_with_delay",
    "bidirectional_rows",
    "calibration_error",
    "damped",
    "draw_negatives",
    "elman_backwards",
    "elman_gradients",
    "entity_scores",
    "greedy_by_hand",
    "in_pieces",
    "keras_gru_step",
    "keras_to_deck",
    "log_partition",
    "lstm_step",
    "merge_runs",
    "negative_sampling_step",
    "odd_one_out",
    "one_step_at_a_time",
    "parcels",
    "resetting_adder",
    "run_masked",
    "truncated_gradient",
]
