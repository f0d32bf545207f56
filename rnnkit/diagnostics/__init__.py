"""Looks inside recurrent networks: their gates, what they remember, and how gradients flow back."""

from rnnkit.diagnostics.gradient_flow import GradientFlow, gradient_flow
from rnnkit.diagnostics.record_gates import record_gates
from rnnkit.diagnostics.retention import Retention, retention

__all__ = ["GradientFlow", "Retention", "gradient_flow", "record_gates", "retention"]
