"""Where the wrappers were: goes once the other modules import the three from their own files."""

from rnnkit.layers.residual_cell import ResidualCell
from rnnkit.layers.wrapper_cell import WrapperCell
from rnnkit.layers.zoneout_cell import ZoneoutCell

__all__ = ["ResidualCell", "WrapperCell", "ZoneoutCell"]
