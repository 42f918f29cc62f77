//! The integration tests, a module a theme, in one binary.

/// The exchange calendars against the reference calendars.
mod calendars;
/// A module uses only what stands on lower floors.
mod floors;
/// Sizes, bans, names, and lists that equal folders.
mod tidy;
/// The repository's own files as text, read by `floors` and `tidy`.
mod tree;
