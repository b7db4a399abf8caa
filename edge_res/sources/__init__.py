"""Sources of blocks, selected by scheme or file suffix."""
