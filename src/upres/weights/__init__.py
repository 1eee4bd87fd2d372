"""The bundled models: data only."""
