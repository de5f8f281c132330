"""marketwatch: watches online markets for regulators. The architecture is drawn in README.md."""

__version__ = "0.1.0"
