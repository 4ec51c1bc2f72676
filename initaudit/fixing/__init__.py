"""From a report to a new file: which weights to draw again, how, and how to write them."""
