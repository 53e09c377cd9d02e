"""The console's share of the domain: who is logged in with a browser, and what an open page is told.

`sessions` keeps the logins, `reader` is one open page's ear at a user's desk. The pages themselves are
`adapters/http/console`.
"""
