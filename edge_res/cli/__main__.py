"""`python -m edge_res.cli`."""

from edge_res.cli import main

main()
