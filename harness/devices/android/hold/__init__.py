"""Keeps hold of a phone during a session: reconnects a lost phone, and restores its settings afterwards."""
