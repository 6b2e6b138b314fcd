"""Slack, both ways: a call becomes a mention, and what staff write back becomes an event of their call.

:mod:`~slack_bridge.words` hears what a text says, :mod:`~slack_bridge.reply` reads Slack's requests,
:func:`slack_bridge.answer.answer` records it and finds the words to say back, :mod:`~slack_bridge.doors` are the
ways in; :mod:`~slack_bridge.mention` finds the words for a call, :mod:`~slack_bridge.tellers` send them. It imports
``shadows`` and nothing else of ours; only :mod:`~slack_bridge.flask_doors` imports Flask.
"""
