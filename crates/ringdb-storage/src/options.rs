//! How files are to be opened for reading.

use crate::body::Verify;
use crate::contents::Access;
use crate::vectors::RowCheck;

/// Which payloads are wanted, by the name of their type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PayloadType {
    /// Those of the type that the program names, by [`type_name`](crate::type_name).
    #[default]
    Own,
    /// Those that were stored under this name.
    Named(String),
    /// Any: whether the bytes make a value is found out when one is fetched.
    Any,
}

/// How to open what is on disk. The default checks everything and maps the files.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    pub(crate) verify: Verify,
    pub(crate) access: Access,
    pub(crate) payload_type: PayloadType,
    pub(crate) row_check: Option<RowCheck>,
    pub(crate) skip_derived: bool,
}

impl ReadOptions {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When checksums are compared.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Whether files are mapped or copied.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Which payloads are wanted.
    #[must_use]
    pub fn payload_type(mut self, payload_type: PayloadType) -> Self {
        self.payload_type = payload_type;
        self
    }

    /// What coordinates rows may have, checked whenever the checksum of their block is.
    #[must_use]
    pub fn row_check(mut self, check: RowCheck) -> Self {
        self.row_check = Some(check);
        self
    }

    /// Whether derived files are passed over: they are not opened, so that neither damage of them nor
    /// their length matters, and the segment has none. False unless this is called.
    #[must_use]
    pub fn skip_derived(mut self, skip: bool) -> Self {
        self.skip_derived = skip;
        self
    }
}
