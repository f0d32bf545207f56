"""Recurrent networks for Keras 3: layers, decoding, inspection, and a course that runs."""

__version__ = "0.1.0"
