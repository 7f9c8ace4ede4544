"""Dask stages around the posebank library: configuration, manifests, the run. Wiring only."""
