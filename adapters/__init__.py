"""One folder per outside thing. Each implements a port of `actors.ports` or drives an actor.

No folder here imports another one: what two of them share is handed in by `config`. `simulated/` holds the
twin of each for seeded runs; a twin passes the same conformance suite as the real thing.
"""
