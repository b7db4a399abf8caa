"""The command line. Nothing heavy is imported before the command that needs it runs."""

from edge_res.cli import device, host
from edge_res.cli.app import app, main

__all__ = ["app", "device", "host", "main"]
