"""Clips: short recordings with labels, how they are stored, read, split and cut out of a stream."""
