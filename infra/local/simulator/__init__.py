"""Slack, acted out in a browser at ``/demo``: the whole loop with no account. Local only, and only with ``--demo``.

Everything goes by Slack's real wire formats: mentions come in by an incoming webhook, what one types goes out as an
outgoing webhook's form, over HTTP, to the same doors that the real Slack uses.
"""
