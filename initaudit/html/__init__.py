"""The HTML page: `page` puts it together, `view` chooses what it shows, `words` writes numbers, names and commands."""
