"""The desktop daemon: the program on a user's own computer that runs terminal agents for the user's desk.

A tree of its own, on the same runtime as the server. Read `ports.py` for what it needs from outside and
`tree.py` for who is in it; each decision is a pure function beside the actor that performs it.
"""
