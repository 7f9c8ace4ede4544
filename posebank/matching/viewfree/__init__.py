"""The exact search over every camera: bounds, certificates and ranking."""
