"""`glasshouse app new`: an app that runs, to begin with. The files of each kind are beside this one."""
