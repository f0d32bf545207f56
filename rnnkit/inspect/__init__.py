"""Looking inside recurrent networks."""

from rnnkit.inspect.gradient_flow import GradientFlow, gradient_flow
from rnnkit.inspect.record_gates import record_gates
from rnnkit.inspect.retention import Retention, retention

__all__ = ["GradientFlow", "Retention", "gradient_flow", "record_gates", "retention"]
