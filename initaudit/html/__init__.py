"""The HTML page: `page` puts it together, `view` and `island` choose what it shows, `words` writes numbers, names and commands."""
