"""One file per thing a person or a clock orders; cli and web call these."""
