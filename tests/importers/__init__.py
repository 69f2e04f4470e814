"""Tests of what is read out of other tools' stores, on stores written here."""
