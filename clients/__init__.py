"""What talks to a Glasshouse from outside: the simulated phone and glasses, and the Python app SDK.

Nothing here imports the server; both sides share `protocols` only. The WebSocket is trio-websocket's, another
implementation than the server's, so that neither side's mistakes are hidden. Every way to the network goes
through one injectable function (`clients.network.Connect`), so both clients also run in a simulated world
over memory streams.
"""
