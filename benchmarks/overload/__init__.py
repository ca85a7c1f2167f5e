"""An engine that gets more requests than it can answer, from another process.

`__main__` is the command, `server` one sample (a process with an engine), `arrivals` the process
that sends the requests.
"""
