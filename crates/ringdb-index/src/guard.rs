//! Who is asked before bytes are read, and told how a search goes.

use std::ops::Range;

use crate::error::Error;

/// Asked before anything is read: whether bytes may be, where they were not all checked before, and whether the search
/// is to go on at all.
pub trait Guard: Sync {
    /// Why a search ends.
    type Error: From<Error> + Send;

    /// Before each part of a search, on the thread that does it.
    ///
    /// # Errors
    /// The search ends with it. Parts that other threads have begun come to their end.
    fn go_on(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// It is known of so many more rows whether they are hits: in a search of one query, of all rows in the end.
    fn decided(&self, rows: usize) {
        let _ = rows;
    }

    /// Before the coordinates of these rows are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn rows(&self, rows: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the codes are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn codes(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the fine codes are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn fine(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the prefixes are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn prefix(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of blocks are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn blocks(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the order of rows are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn order(&self, bytes: Range<usize>) -> Result<(), Self::Error>;
}

/// The guard of bytes that are in order: lets everything pass.
#[derive(Debug, Clone, Copy)]
pub struct Trusted;

impl Guard for Trusted {
    type Error = Error;

    fn rows(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn codes(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn fine(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn prefix(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn order(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }
}
