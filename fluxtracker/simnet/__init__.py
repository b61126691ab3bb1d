"""A simulated Flux network: the upstreams behind one local server, for demos, tests and benchmarks.

`World` (world.py) is the network, `SimServer` (server.py) answers for it over HTTP. Nothing outside of
this package, its command and the tests may import it.
"""
