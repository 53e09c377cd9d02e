"""The command `glasshouse`: `commands` lists the commands, each is a module beside it.

Nothing is imported here: what happens first is that Ctrl-C is made quiet (`__main__`).
"""
