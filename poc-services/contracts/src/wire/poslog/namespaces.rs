//! Whose name an element has, by the namespaces that are declared around it.
//!
//! Invariant: at most [`NAMESPACES_MAX`] declarations are open at once.

use super::{KIT_NAMESPACE, NAMESPACE, NAMESPACES_MAX};

/// Whose name an element has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    PosLog,
    Kit,
    Foreign,
}

/// A namespace that an element declares.
struct Binding<'a> {
    depth: usize,
    /// Empty: the default.
    prefix: &'a str,
    space: Space,
}

/// The declarations that are open.
pub(super) struct Namespaces<'a> {
    bindings: Vec<Binding<'a>>,
    default: Space,
}

impl<'a> Namespaces<'a> {
    pub(super) const fn new() -> Self {
        Self {
            bindings: Vec::new(),
            default: Space::PosLog,
        }
    }

    /// Of names without prefix.
    #[inline]
    pub(super) const fn default_space(&self) -> Space {
        self.default
    }

    /// A document without namespaces is taken for POSLog; a prefix that nobody declared is foreign.
    pub(super) fn space_of(&self, prefix: &str) -> Space {
        let bound = self
            .bindings
            .iter()
            .rev()
            .find(|binding| binding.prefix == prefix);
        match bound {
            Some(binding) => binding.space,
            None if prefix.is_empty() => Space::PosLog,
            None => Space::Foreign,
        }
    }

    /// A declaration of the element at that depth. `false`: too many.
    #[cold]
    #[must_use]
    pub(super) fn bind(&mut self, depth: usize, prefix: &'a str, uri: &str) -> bool {
        if self.bindings.len() == NAMESPACES_MAX {
            return false;
        }
        // Feeds leave out the last slash; an empty one is as if none had ever been declared.
        let space = if uri == NAMESPACE || uri == &NAMESPACE[..NAMESPACE.len() - 1] || uri.is_empty() {
            Space::PosLog
        } else if uri == KIT_NAMESPACE {
            Space::Kit
        } else {
            Space::Foreign
        };
        self.bindings.push(Binding { depth, prefix, space });
        self.default = self.space_of("");
        true
    }

    /// The element at that depth is over, and its declarations with it.
    #[inline]
    pub(super) fn close(&mut self, depth: usize) {
        if self.bindings.last().is_some_and(|last| last.depth == depth) {
            self.unbind(depth);
        }
    }

    #[cold]
    fn unbind(&mut self, depth: usize) {
        while self.bindings.last().is_some_and(|last| last.depth == depth) {
            self.bindings.pop();
        }
        self.default = self.space_of("");
    }
}
