"""The pages, one file each: a function of the site and the query that returns what to show."""
