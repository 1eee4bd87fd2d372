"""The training workbench: recipes, stages, data, losses and the loop."""
