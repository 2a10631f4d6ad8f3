"""Live views: the kernel's end of what frontend/ draws in a page (anywidget, ipywidgets)."""
