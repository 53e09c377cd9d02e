"""A pair of glasses in a browser: static files, served at `/glasses` (adapters/http/glasses_routes.py)."""
