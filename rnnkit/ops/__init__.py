"""Pure functions of tensors that layers share."""
