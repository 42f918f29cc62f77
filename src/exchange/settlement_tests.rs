//! What becomes of positions that are held to an end.
