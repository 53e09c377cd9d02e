"""The twins of the adapters: the same ports without sockets, threads, files or wall time.

A twin takes its randomness from the world that runs it, so a seed replays, and offers its faults by name.
"""
