//! Other libraries, each in a process of its own: which there are, how they are made, asked and checked.
//!
//! The processes are those of `benches/peers`, whose README describes the protocol.

mod answer;
mod home;
mod process;

use std::error::Error;

pub use answer::Difference;
pub use home::Home;
pub use process::{Peer, Question, write_rows};

/// The result of a step of the comparison; its error is a sentence for a person.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a peer runs on.
#[derive(Debug, Clone, Copy)]
enum Runtime {
    /// The program of `benches/peers`.
    Rust,
    /// `benches/peers/python/serve.py` with this adapter.
    Python(&'static str),
    /// The same, with the kernel of OpenBLAS chosen for it: one that does not know the processor falls back to
    /// an old one.
    Tuned(&'static str),
}

/// Every peer by its name.
const PEERS: &[(&str, Runtime)] = &[
    ("ring-db-0.3.0", Runtime::Rust),
    ("ring-db-0.11.0", Runtime::Rust),
    ("kiddo", Runtime::Rust),
    ("faiss", Runtime::Python("faiss_flat")),
    ("faiss-tuned", Runtime::Tuned("faiss_flat")),
    ("numpy", Runtime::Python("numpy_blas")),
    ("scipy", Runtime::Python("scipy_tree")),
    ("sklearn-ball", Runtime::Python("scikit_learn:ball")),
    ("sklearn-kd", Runtime::Python("scikit_learn:kd")),
    ("sklearn-balltree", Runtime::Python("balltree")),
    ("sklearn-brute", Runtime::Python("scikit_learn:brute")),
    ("usearch", Runtime::Python("usearch_exact")),
];

/// The names of all peers.
pub fn names() -> impl Iterator<Item = &'static str> {
    PEERS.iter().map(|(name, _)| *name)
}
