"""Signal processing: ring buffer, sliding STFT, front-end, resampling and level."""
