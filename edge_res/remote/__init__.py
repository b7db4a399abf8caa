"""Work on another machine, over the system's ssh: one connection, nothing left behind. `docs/how-to/remote.md`."""
