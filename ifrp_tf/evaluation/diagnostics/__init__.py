"""Where a model errs and what its parts are worth."""
