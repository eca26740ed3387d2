"""What files contain, at every depth: archives, documents, attached messages, winmail.dat. It finds facts; it judges nothing."""
