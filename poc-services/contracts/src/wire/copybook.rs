//! copybook
