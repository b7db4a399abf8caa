"""Bundles and what runs them: quantization, models over an engine, heads, ensembles, verification."""
