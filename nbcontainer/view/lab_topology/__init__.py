"""The lab as a graph: what is in it and how it is connected, live, as a picture and as text."""
