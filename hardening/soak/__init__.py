"""A served model under load from clients that hang, cancel and leave."""
