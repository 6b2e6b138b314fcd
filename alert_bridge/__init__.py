"""Reaching people by other ways than Slack, and hearing from them: SMS, e-mail and whatever else apprise speaks.

:class:`alert_bridge.senders.Senders` sends what :mod:`shadows.alerts` decides. An alert carries a link, and
:func:`alert_bridge.doors.open_door` is what it opens. This package may import :mod:`shadows` only.
"""
