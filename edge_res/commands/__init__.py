"""The commands behind `edge_res.cli`, one module each."""
