"""Mutated files: whatever a file holds, the audit answers with a report or a documented error."""
