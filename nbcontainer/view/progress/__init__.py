"""What takes its time, as it goes: pulls, pushes and loads by layer, builds by step."""
