"""The quantized network: a graph of integer operations, exact in every engine, as a window and as a step."""
