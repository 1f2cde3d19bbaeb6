"""Routes of the HTTP app, one module for each group of resources."""
