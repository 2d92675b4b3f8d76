"""Cases, one module for each model; a new module is found by its name."""
