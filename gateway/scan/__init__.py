"""What a message carries: file types, encryption, macros and what the virus scanners say. Finds facts, judges nothing."""
