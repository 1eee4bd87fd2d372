"""Architecture search: networks under one's own constraints, on one's own machine."""
