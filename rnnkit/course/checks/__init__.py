"""The checks of the coding exercises: each tries a function and, if it is wrong, says what is wrong with it.

In a lesson, the cell after the exercise `lstm_step` calls `checks.lstm_step(lstm_step)`. A right function gets a line
that says so; a wrong one raises a `Mistake`, an AssertionError. A check has the name of the function that it tries.
"""

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.mistake import Mistake
from rnnkit.course.checks.exercises.attend import attend
from rnnkit.course.checks.exercises.beam_by_hand import beam_by_hand
from rnnkit.course.checks.exercises.best_path import best_path
from rnnkit.course.checks.exercises.best_with_delay import best_with_delay
from rnnkit.course.checks.exercises.bidirectional_rows import bidirectional_rows
from rnnkit.course.checks.exercises.calibration_error import calibration_error
from rnnkit.course.checks.exercises.damped import damped
from rnnkit.course.checks.exercises.draw_negatives import draw_negatives
from rnnkit.course.checks.exercises.elman_backwards import elman_backwards
from rnnkit.course.checks.exercises.elman_gradients import elman_gradients
from rnnkit.course.checks.exercises.entity_scores import entity_scores
from rnnkit.course.checks.exercises.greedy_by_hand import greedy_by_hand
from rnnkit.course.checks.exercises.in_pieces import in_pieces
from rnnkit.course.checks.exercises.keras_gru_step import keras_gru_step
from rnnkit.course.checks.exercises.keras_to_chung import keras_to_chung
from rnnkit.course.checks.exercises.log_partition import log_partition
from rnnkit.course.checks.exercises.lstm_step import lstm_step
from rnnkit.course.checks.exercises.merge_runs import merge_runs
from rnnkit.course.checks.exercises.negative_sampling_step import negative_sampling_step
from rnnkit.course.checks.exercises.odd_one_out import odd_one_out
from rnnkit.course.checks.exercises.one_step_at_a_time import one_step_at_a_time
from rnnkit.course.checks.exercises.parcels import parcels
from rnnkit.course.checks.exercises.resetting_adder import resetting_adder
from rnnkit.course.checks.exercises.run_masked import run_masked
from rnnkit.course.checks.exercises.truncated_gradient import truncated_gradient

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
    "keras_to_chung",
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
