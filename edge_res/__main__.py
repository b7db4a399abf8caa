"""`python -m edge_res` is `edgeres`."""

from edge_res.cli import main

main()
