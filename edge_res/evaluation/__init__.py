"""How good a model is: accuracy on clips, misses and false accepts an hour on long recordings, thresholds."""
