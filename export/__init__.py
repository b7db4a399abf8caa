"""The host side: datasets, networks, training, quantization, emitting bundles."""
