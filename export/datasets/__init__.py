"""Data sets: what is in them, what keeps training and validation apart, and the windows that are learned from."""
