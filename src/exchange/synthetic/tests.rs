//! What is promised of the market as a whole.
