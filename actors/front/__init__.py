"""The front door's decisions: who may upgrade, and which session an app's connection belongs to."""
