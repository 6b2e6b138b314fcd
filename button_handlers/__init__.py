"""From a button, whoever made it, to a call.

One file a maker turns what its buttons send into a :class:`~button_handlers.click.Click`;
:func:`button_handlers.press.press` makes a call of it; :mod:`button_handlers.doors` has the ways in. Of ours, only
``shadows`` is imported here, and flask only in :mod:`button_handlers.flask_doors`.
"""
