"""phonebench: builds optimised mobile variants of a model, measures them on devices, says which to ship."""

__version__ = "0.1.0"
