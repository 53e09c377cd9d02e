"""The assistant's voice: the system app `com.mentra.soga`, its server and its sessions inside this server.

To the rest of the server it is an app like any other: it is started by a webhook, dials the app's door with a
key, subscribes, shows and asks for sound over the app's own wire. Only its network is made of calls
(`connection.py`, `webhooks.py`). What it does with what it hears is a pure machine, `conversation.py`.
"""
