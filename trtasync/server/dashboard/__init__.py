"""GET /dashboard: one page that tells people how the models are doing.

It is made when somebody looks, from the same statistics as everything else: `history` remembers
those of earlier looks, `page` writes it, of `markup` that cannot forget to escape. It has no script
and loads nothing.
"""
