"""`glasshouse app test`: an app against the real server, with a scripted wearer.

`scenario.py` reads the script, `play.py` plays it, `program.py` is the command.
"""
