"""Batching policies in virtual time: arrivals, an event loop, streams and devices, no clock.

`arrivals` who asks when, `costs` what a batch takes, `device` batches that share a device,
`schedulers` the policies compared, `ours` trtasync's own policy driven as the pump drives
it, `world` the event loop between them, `scenarios` machines, `study` all points of the
comparison, `verdict` where ours is worse, `plot` the picture,
`ablation` what each rule of ours is worth, `shapes` two shapes of which one is in a hurry.
"""
