"""Where work on untrusted files is done: worker processes, each with a memory limit and a time limit."""
