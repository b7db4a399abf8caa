"""From a data set and settings to a run folder."""
