"""GET /dashboard: one page that tells people how the models are doing.

It is made when somebody looks, from the same statistics as everything else: `history` remembers
those of earlier looks, and `page` writes the page from `markup`, which always escapes text. The
page has no script and loads nothing.
"""
