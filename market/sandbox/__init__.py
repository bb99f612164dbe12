"""The bundled exchange: a second, independent implementation of Bitfinex's documented behaviour.

It imports nothing of the project, so that a bug of the product cannot cancel itself out here.
`state`, `replay`, `rules`, `rest`, `stream` and `faults` take `now` and touch neither socket
nor clock; only `app` does.
"""
