"""`glasshouse bench resilience`: everything that can die, killed under load, and what the wearer noticed.

A live server, real sockets, sessions with real-time audio; phones that dial as phones do, an app server with
the rules of `@mentra/sdk`. One scenario after the other does harm to the same server: phones that drop,
half-open sockets, app servers that die, actors that crash, kill -9 of the server and of its keeper, restarts.
Measured for each: how long until audio is at the app and the lens shows again, beside the peers' own waits;
numbered frames and presses lost, doubled or out of order; acknowledged things lost; apps begun anew without
need; sessions that were not hit and noticed; what is left of memory and actors.

    glasshouse bench resilience
    glasshouse bench resilience --sessions 20 --only server-killed --only app-server-2s

Start reading in `scenarios`, then `verdict`.
"""
