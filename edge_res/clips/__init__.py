"""Clips: short labelled recordings, and how they are cut from a stream, stored, read and split."""
