"""The result of an audit, and the document that every format renders."""
