"""Streaming edge inference: microphone or sensor in, events out, with int8 models on small devices.

The parts, in the order in which data flows through them::

    sources -> ring -> stft, frontend -> models (over engines) -> decide -> sinks

Imports go one way along that line. Nothing heavy is loaded here.
"""

__version__ = "0.1.0"
