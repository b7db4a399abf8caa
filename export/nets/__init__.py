"""Networks on spectrogram images, by their names."""
