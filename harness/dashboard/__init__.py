"""The web pages of ``phonebench dashboard``: the history, the nights, the runs and their reports, read-only.

    site      what the pages read: the results folder, the history, the farm
    content   what a page returns, and its links, lists and search fields
    pages/    one file per page, each a function of the site and the query
    documents reports that are stored as whole pages
    access    where the server listens, and who may read: loopback, or TLS with a login
    app       the web application: routes, headers, errors as pages
    serve     runs it

The one decision: every page is made in this process from what is stored. It works without scripts and fetches nothing,
so a reader needs no network but the one to this server.
"""
