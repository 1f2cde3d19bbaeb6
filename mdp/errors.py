"""The one tree of errors that pushwise raises on purpose.

    PushwiseError
    ├── BadInput          data or an argument that a person gave is wrong
    │   ├── BadLog        a log directory: names table, column, count and first rows
    │   └── BadSetting    a guardrail, a reward weight, an option
    ├── BadArtifact       a saved simulator or policy is truncated, tampered or of another schema
    └── NotEnoughData     the data is right but too small for what was asked

A message says what was wrong, the value, and what to do; the command line prints it as one
sentence and exits 1.
"""


class PushwiseError(Exception):
    """Base of every error that pushwise raises on purpose."""


class BadInput(PushwiseError, ValueError):
    """Data or an argument that a person gave is wrong."""


class BadLog(BadInput):
    """A log directory breaks the log format."""


class BadSetting(BadInput):
    """A guardrail, a reward weight or an option is wrong."""


class BadArtifact(PushwiseError):
    """A saved simulator or policy can't be used as it is."""


class NotEnoughData(PushwiseError):
    """The data is right but too small for what was asked."""
