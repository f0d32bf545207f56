"""The checks of the coding exercises: each tries a function and, if it is wrong, says what is wrong with it.

In a lesson, the cell behind the exercise `lstm_step` calls `checks.lstm_step(lstm_step)`. What is right prints a line;
what is wrong raises a `Mistake`, an AssertionError. A check has the name of the function that it tries.
"""

from rnnkit.checks.check import Check
from rnnkit.checks.damped import damped
from rnnkit.checks.elman_backwards import elman_backwards
from rnnkit.checks.elman_gradients import elman_gradients
from rnnkit.checks.in_pieces import in_pieces
from rnnkit.checks.keras_gru_step import keras_gru_step
from rnnkit.checks.keras_to_deck import keras_to_deck
from rnnkit.checks.known_mistake import KnownMistake
from rnnkit.checks.lstm_step import lstm_step
from rnnkit.checks.mistake import Mistake
from rnnkit.checks.one_step_at_a_time import one_step_at_a_time
from rnnkit.checks.parcels import parcels
from rnnkit.checks.resetting_adder import resetting_adder
from rnnkit.checks.run_masked import run_masked
from rnnkit.checks.truncated_gradient import truncated_gradient

__all__ = [
    "Check",
    "KnownMistake",
    "Mistake",
    "damped",
    "elman_backwards",
    "elman_gradients",
    "in_pieces",
    "keras_gru_step",
    "keras_to_deck",
    "lstm_step",
    "one_step_at_a_time",
    "parcels",
    "resetting_adder",
    "run_masked",
    "truncated_gradient",
]
