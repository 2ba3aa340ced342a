"""What draws the pictures in docs/, and a terminal to record them in."""
