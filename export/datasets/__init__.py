"""Data sets: download, clips, splits, and the windows to train on."""
