"""The port: the keeper that holds it across crashes, the server side of their agreement, and the listener
on it.

`keeper` is the parent process: it imports the standard library only, so that it starts in milliseconds,
takes little memory and has nothing in it that could fail. `child` is what the server tells and hears from
it. `listener` accepts the connections; `head` and `peek` find out what each of them wants without taking a
byte.

Import from the modules: this file imports none of them, because that would load trio into the keeper.
"""
