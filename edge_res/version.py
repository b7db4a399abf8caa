"""The version, which other modules need without the package's public names."""

__version__ = "0.2.0"
