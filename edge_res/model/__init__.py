"""Bundles and what runs them: quantization, models on an engine, heads, ensembles, verification."""
