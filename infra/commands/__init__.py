"""The subcommands of ``staffcall``, one file a noun. What takes long to import is imported where it is used."""
