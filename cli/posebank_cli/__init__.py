"""posebank: see ARCHITECTURE.md."""
