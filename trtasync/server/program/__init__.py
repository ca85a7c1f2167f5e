"""The server as a program: what `trtasync serve` does when its arguments are read.

`settings` is what can be said and `config` the file that says it, `catalogue` the models kept as
they are wanted and as their files are, `front` a process that answers, `fronts` several of them
over the same engines; `doors` are where they listen, `admission` whom they let in.
"""
