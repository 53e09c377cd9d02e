"""The domain: every running thing is an actor here, and every decision is a pure function beside it.

Read `ports.py` for what the domain needs from outside, `glasshouse.py` for the tree, `session/` for what a
user's session decides. Nothing in this room touches sockets, threads, wall time, randomness or the
environment: the runtime and the ports hand them in, which is what makes a seeded run replay.
"""
