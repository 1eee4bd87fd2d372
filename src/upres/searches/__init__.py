"""The searches that ship: data only."""
