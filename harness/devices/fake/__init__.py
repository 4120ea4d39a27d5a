"""Scripted phones, which show what a report and a failing phone look like."""
