"""The rules of a call: who is asked, what their shadow says, what is told, and when it ends.

Every way in (a button, Slack, a timer) ends in :func:`shadows.calls.record`; what is not yet told is the delta
of a shadow, and :func:`shadows.calls.deliver` tells it. Nothing of ours is imported here.
"""
