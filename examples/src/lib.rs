//! Programs to read and copy; each is a file beside this folder.
