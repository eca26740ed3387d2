"""One kind of container a file, found by scanning: each offers `TYPES`, the short types it reads, and
`entries(content, share)`, which yields a `gateway.scan.inside.entry.Entry` for each file in it, spends what it unpacks
from the share piece by piece, and raises Unscannable where it cannot go on (entries given before count).
"""
