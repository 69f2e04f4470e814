"""Refreshing through the commands, against a real server."""
