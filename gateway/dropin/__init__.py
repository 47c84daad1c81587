"""The gateway as FortiFlex itself: its paths, its envelope, its words, for clients that know nothing of us (FortiFlex API reference, section 8).

Nothing is decided here that the REST API decides otherwise: the same walls, the same verbs, another form.
"""
