"""`glasshouse bench desktop`: a spoken question that an agent answers, and how soon an approval reaches it.

The real server, a real daemon on a folder of its own, simulated glasses with the assistant's app. What the
wearer says is heard exactly, by a recogniser on loopback; a loopback also plays the language model's API, for
the server and for the Claude Code CLI.

First a run as text: question, progress, two approvals on the lens (one by the button, one by voice), answer.
The agent is the real Claude Code CLI where there is one (`--claude`), else a command that asks. Then the time
from an approval to the keystroke in the agent's terminal: a program there asks again and again, and notes the
time when it has read each answer. All are on one machine, so that is one clock.

    chrt -r 1 glasshouse bench desktop
    glasshouse bench desktop --approvals 0

Start reading in `__main__`, then `world`.
"""
