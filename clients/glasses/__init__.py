"""The simulated phone and glasses: a wearer for demos, tests and examples.

    glasses = Glasses("http://127.0.0.1:8002", token)
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        await glasses.wait_for(lambda phone: phone.is_connected)
        await glasses.start_app("org.example.captions")
        await glasses.wait_for(lambda phone: phone.is_microphone_on)
        await glasses.play(pcm)
        await glasses.wait_for(lambda phone: "hello" in phone.lens.text)
        nursery.cancel_scope.cancel()

Read `phone.py` (the connection, what the wearer does), `microphone.py` (what becomes of what it hears),
`datagrams.py` (how it goes over UDP), `webrtc.py` and `peer.py` (how it goes over WebRTC), `lens.py` (what
the wearer sees) and `speaker.py` (what the wearer hears).
"""

from __future__ import annotations

from clients.glasses.lens import Lens, Shown
from clients.glasses.microphone import MicrophoneOptions
from clients.glasses.phone import Frame, Glasses, PhoneTimers, Received

__all__ = ["Frame", "Glasses", "Lens", "MicrophoneOptions", "PhoneTimers", "Received", "Shown"]
