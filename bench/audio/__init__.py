"""Seed 003's tables, measured: the four ways from a microphone to an app, over a network that loses packets.

`network.py` makes two network namespaces, `link.py` is the wire between them; `phone.py` and `ear.py` are the
programs at its ends, `heard.py` compares what was played with what an app got.
"""
