"""Work on another machine over the system's ssh, one connection, with nothing left behind (docs/how-to/remote.md)."""
