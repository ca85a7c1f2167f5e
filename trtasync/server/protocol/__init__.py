"""The Open Inference Protocol, version 2, with Triton's extensions, sans I/O.

`schema` is what a request may say, `requests` reads one, `answers` writes its answer, and `codec`
remembers both for one model. `datatypes`, `tensors` and `classes` know the forms of arrays;
`bodies` compresses; `refusals` says no; `descriptions` and `statistics` describe models.
"""
