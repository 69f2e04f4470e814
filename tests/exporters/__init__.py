"""Exporters: what is written into other tools' stores, and how they are made to ask."""
