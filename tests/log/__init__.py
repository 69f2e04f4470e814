"""Tests of crypto, events, model, log and projections."""
