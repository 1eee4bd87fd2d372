"""Running models over data sets, and what came of it."""
