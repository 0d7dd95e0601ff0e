"""lambdo-router turns events on Amazon SQS into Fly.io Machines."""

__version__ = "0.1.0"
