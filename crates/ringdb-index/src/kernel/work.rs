//! A loop that every instruction set compiles for itself.
//!
//! Invariant: a loop gives the same bits whatever compiles it.

use super::codes::CodeLanes;

/// What is to be done, with all it takes. `on` has to be inlined, or it is compiled without the instructions that `lanes`
/// stands for.
pub(super) trait Work {
    type Output;

    fn on<L: CodeLanes>(self, lanes: L) -> Self::Output;
}
