//! Nested rounds: a root has branches that take turns, each of them with further branches or a line of leaves. The
//! head of a branch has its next turn; a branch that had it goes to the end of its round. All grants cost the same,
//! so this is deficit round robin (Shreedhar and Varghese, 1996) with a quantum of one grant.
//!
//! Entering, leaving and taking a turn touch one node on each level, for any number of nodes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use slab::Slab;

use crate::limits::budget::SiteKey;

/// Index of a node; reused after its removal.
pub(super) type NodeId = usize;

/// Key of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum BranchKey {
    Site(SiteKey),
    /// A client, by its number while it waits.
    Client(NodeId),
}

/// An end of a list of siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

/// A hash of a few numbers that no client chooses: of nodes, of clients, of sites.
#[derive(Debug, Default)]
struct IntegerHasher(u64);

impl Hasher for IntegerHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_usize(number.cast_unsigned());
    }
}

/// Trees of rounds.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    nodes: Slab<Node>,
    branches: HashMap<(NodeId, BranchKey), NodeId, BuildHasherDefault<IntegerHasher>>,
}

#[derive(Debug)]
struct Node {
    content: Content,
    parent: Option<NodeId>,
    before: Option<NodeId>,
    after: Option<NodeId>,
    first: Option<NodeId>,
    last: Option<NodeId>,
    /// Leaves below.
    leaves: usize,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Root,
    Branch(BranchKey),
    /// A leaf with its content.
    Leaf(usize),
}

impl Rounds {
    /// Adds an empty tree.
    pub(super) fn add_root(&mut self) -> NodeId {
        self.nodes.insert(Node::new(Content::Root))
    }

    /// Removes a tree that is empty.
    pub(super) fn remove_root(&mut self, root: NodeId) {
        self.nodes.try_remove(root);
    }

    /// Adds a leaf for `content` at an end of the line at `path`. At the first end its branches come next, each in
    /// its round.
    pub(super) fn enter(
        &mut self,
        root: NodeId,
        path: &[BranchKey],
        end: End,
        content: usize,
    ) -> NodeId {
        let mut parent = root;
        for name in path {
            parent = self.branch(parent, *name, end);
        }
        let leaf = self.nodes.insert(Node::new(Content::Leaf(content)));
        self.link(leaf, parent, end);
        let mut above = Some(parent);
        while let Some(node) = above.and_then(|at| self.nodes.get_mut(at)) {
            node.leaves += 1;
            above = node.parent;
        }
        leaf
    }

    /// Returns the leaf whose turn it is.
    pub(super) fn head(&self, root: NodeId) -> Option<NodeId> {
        let mut at = self.nodes.get(root)?.first?;
        while let Some(first) = self.nodes.get(at)?.first {
            at = first;
        }
        Some(at)
    }

    /// Returns the leaves of a line from `leaf` on.
    pub(super) fn line(&self, leaf: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(leaf), |at| self.nodes.get(*at)?.after)
    }

    /// Returns the content of a leaf.
    pub(super) fn content(&self, leaf: NodeId) -> Option<usize> {
        match self.nodes.get(leaf)?.content {
            Content::Leaf(content) => Some(content),
            Content::Root | Content::Branch(_) => None,
        }
    }

    /// Returns the number of leaves at `path` and below.
    pub(super) fn count(&self, root: NodeId, path: &[BranchKey]) -> usize {
        let mut path = path.iter();
        let at = path.try_fold(root, |at, name| self.branches.get(&(at, *name)).copied());
        let node = at.and_then(|at| self.nodes.get(at));
        node.map_or(0, |node| node.leaves)
    }

    /// Removes a leaf. If that was a turn, each branch above it goes to the end of its round; else the order of all
    /// others stays.
    pub(super) fn remove(&mut self, leaf: NodeId, is_turn: bool) {
        let mut at = leaf;
        let mut is_empty = true;
        while let Some(parent) = self.nodes.get(at).and_then(|node| node.parent) {
            if is_empty || is_turn {
                self.unlink(at);
            }
            if is_empty {
                self.discard(at);
            } else if is_turn {
                self.link(at, parent, End::Last);
            }
            let Some(node) = self.nodes.get_mut(parent) else {
                return;
            };
            node.leaves -= 1;
            is_empty = node.leaves == 0;
            at = parent;
        }
    }

    fn branch(&mut self, parent: NodeId, name: BranchKey, end: End) -> NodeId {
        if let Some(known) = self.branches.get(&(parent, name)).copied() {
            if end == End::First {
                self.unlink(known);
                self.link(known, parent, end);
            }
            return known;
        }
        let branch = self.nodes.insert(Node::new(Content::Branch(name)));
        self.branches.insert((parent, name), branch);
        self.link(branch, parent, end);
        branch
    }

    fn discard(&mut self, at: NodeId) {
        let Some(node) = self.nodes.try_remove(at) else {
            return;
        };
        if let (Content::Branch(name), Some(parent)) = (node.content, node.parent) {
            self.branches.remove(&(parent, name));
        }
    }

    fn link(&mut self, at: NodeId, parent: NodeId, end: End) {
        let Some(above) = self.nodes.get_mut(parent) else {
            return;
        };
        let (before, after) = match end {
            End::First => (None, above.first),
            End::Last => (above.last, None),
        };
        self.join(parent, before, Some(at));
        self.join(parent, Some(at), after);
        if let Some(node) = self.nodes.get_mut(at) {
            node.parent = Some(parent);
        }
    }

    fn unlink(&mut self, at: NodeId) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let (parent, before, after) = (node.parent, node.before, node.after);
        if let Some(parent) = parent {
            self.join(parent, before, after);
        }
    }

    /// Links the two siblings; `None` is the end of the list.
    fn join(&mut self, parent: NodeId, before: Option<NodeId>, after: Option<NodeId>) {
        if let Some(node) = self.nodes.get_mut(before.unwrap_or(parent)) {
            match before {
                Some(_) => node.after = after,
                None => node.first = after,
            }
        }
        if let Some(node) = self.nodes.get_mut(after.unwrap_or(parent)) {
            match after {
                Some(_) => node.before = before,
                None => node.last = before,
            }
        }
    }
}

impl Node {
    fn new(content: Content) -> Self {
        Self {
            content,
            parent: None,
            before: None,
            after: None,
            first: None,
            last: None,
            leaves: 0,
        }
    }
}

#[cfg(test)]
impl Rounds {
    /// Returns the number of nodes, and fails unless each branch is found by its key.
    pub(super) fn size(&self) -> usize {
        let branches = self
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node.content, Content::Branch(_)));
        assert_eq!(branches.count(), self.branches.len());
        self.nodes.len()
    }
}
