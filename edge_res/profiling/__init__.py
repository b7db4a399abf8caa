"""What a model costs on this machine: the loop of `listen` timed, judged, compared and estimated.

`timing` times the loop; `worker` measures one combination of engine, mode and threads in a separate process; `observe`
watches the machine meanwhile; `judge` decides whether the figures can be trusted; `rows` puts them together. `report`
is a profile as JSON, `tables` and `page` show it, `recommend` chooses a row, `compare` sets two profiles side by side,
and `estimate` covers devices that are not at hand.
"""
