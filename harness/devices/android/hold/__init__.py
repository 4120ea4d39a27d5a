"""Keeping a phone: the cable, the return of a lost phone, and cleaning up."""
