"""Reaching people by other ways than Slack, and hearing from them: SMS, e-mail and whatever else apprise speaks.

:class:`infra.alerts.senders.Senders` sends what :mod:`shadows.alerts` decides. An alert carries a link, and
:func:`infra.alerts.doors.open_door` is what it opens. It knows of :mod:`shadows` only.
"""
