"""The recipes that ship: data only."""
