"""The server as a program: what `trtasync serve` does once its arguments are read.

`settings` are what can be set, and `config` the file that sets it; `catalogue` keeps the models as
they are wanted and as their files are; `front` is a process that answers, `fronts` are several of
them over the same engines; `doors` are the sockets they listen at, `admission` decides whom they
let in.
"""
