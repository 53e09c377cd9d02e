"""`glasshouse app run`: an app beside a server of this machine, told to it and started."""
