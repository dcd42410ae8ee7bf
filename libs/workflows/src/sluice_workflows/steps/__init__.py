"""Programs that run inside steps: standard library only, Python 3.9 or newer, one file each.

Workflows embed their source, so none may import another or contain two opening braces in a row.
Environment variables name the files that they read and write.
"""
