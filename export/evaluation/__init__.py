"""How good a classifier is, and what it costs."""
