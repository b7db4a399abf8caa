"""The command line: the commands, each imported when it runs, and what becomes of their errors."""

from edge_res.cli.app import COMMANDS, command, group, main

__all__ = ["COMMANDS", "command", "group", "main"]
