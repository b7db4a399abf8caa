"""Every error that a user can cause, with its exit code.

::

    EdgeResError            1   any other error that edge_res reports
    ├── ConfigError         2   a wrong option, label, device name or configuration file  (ValueError)
    ├── SourceError         3   a source is missing or cannot be read                     (OSError)
    │   └── MicrophoneError 4   PortAudio or a microphone is missing
    ├── SignalError         5   samples cannot be processed                               (ValueError)
    ├── ModelError          6   a bundle or model file is damaged or unknown              (ValueError)
    ├── EngineError         7   an engine is not installed or cannot run                  (ImportError)
    ├── DataError           8   training data is missing or cannot be used                (ValueError)
    ├── ExportError         9   a network cannot be exported, or a check failed           (ValueError)
    ├── OutputError        10   stdout or a file cannot be written, or the disk is full   (OSError)
    └── RemoteError        11   another machine cannot be reached, or fails               (OSError)

Each message is one plain sentence: what is wrong, what was found, what was expected, how to fix it.
Exit code 2 also means that the command line could not be parsed.
"""


class EdgeResError(Exception):
    """The base class of all errors that this package raises; the command line prints them without a traceback."""

    exit_code = 1


class ConfigError(EdgeResError, ValueError):
    exit_code = 2


class SourceError(EdgeResError, OSError):
    exit_code = 3


class MicrophoneError(SourceError):
    exit_code = 4


class SignalError(EdgeResError, ValueError):
    exit_code = 5


class ModelError(EdgeResError, ValueError):
    exit_code = 6


class EngineError(EdgeResError, ImportError):
    exit_code = 7


class DataError(EdgeResError, ValueError):
    exit_code = 8


class ExportError(EdgeResError, ValueError):
    exit_code = 9


class OutputError(EdgeResError, OSError):
    exit_code = 10


class RemoteError(EdgeResError, OSError):
    exit_code = 11
