"""`glasshouse demo`: a cloud, a captions app and simulated glasses over real sockets, in one terminal.

`program.py` is the program, `cloud.py` starts the server as anybody would, `captions.py` is the app,
`timing.py` turns what happened into figures (pure), `screen.py` shows the lens.
"""
