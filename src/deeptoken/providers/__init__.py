"""Whom to ask: one small pure file each."""
