"""Programs that run inside steps: standard library only, Python 3.9 or newer, each one file.

They are embedded in the Workflow as they stand, so none may import another or hold two opening
braces in a row. What they read and write is named by environment variables.
"""
