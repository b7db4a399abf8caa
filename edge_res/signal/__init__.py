"""Numbers of a signal: the ring buffer, the sliding STFT, the front-end, resampling and level."""
