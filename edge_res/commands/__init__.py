"""One module a command: its options and its run, and helpers that only it needs.

`--help` and shell completion import a command's module too, and on a small device NumPy alone takes a second. So what
needs NumPy, PyTorch or an audio library is imported inside the functions that run.
"""
