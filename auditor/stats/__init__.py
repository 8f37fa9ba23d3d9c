"""Statistics over arrays: pure functions, numpy at the top and scipy only inside; nothing here knows runs, files or pages."""
