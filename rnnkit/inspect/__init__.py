"""Looking inside recurrent networks."""

from rnnkit.inspect.gradient_flow import GradientFlow, gradient_flow

__all__ = ["GradientFlow", "gradient_flow"]
