"""How a check tries a function, compares what it returns, and finds the mistake."""
