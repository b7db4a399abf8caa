"""What a model costs on this machine: the loop of `listen`, timed, judged, compared, estimated.

`timing` holds what times the loop, `worker` measures one combination of engine, mode and threads in a process of its
own, `observe` reads the machine meanwhile, `judge` says whether the figures can be trusted, `rows` puts them together.
"""
