//! Keeps records out of memory and reads them back by number: the payload store alone.
//!
//! `cargo run -p ringdb-storage --example payload_store`

use std::error::Error;

use ringdb_storage::{PayloadStore, PayloadStoreBuilder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    title: String,
    pages: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (payloads, offsets) = (
        dir.path().join("documents"),
        dir.path().join("documents.offsets"),
    );

    // Each document goes to disk when it is pushed; 8 bytes of it stay in memory.
    let mut builder = PayloadStoreBuilder::new()?;
    for pages in 0..100_000 {
        builder.push(Document {
            title: format!("Report {pages}"),
            pages,
        })?;
    }
    builder.finish_persisted(&payloads, &offsets)?;

    // Another process would begin here.
    let store: PayloadStore<Document> = PayloadStore::load(&payloads, &offsets)?;
    println!(
        "{} documents in {} bytes",
        store.len(),
        payloads.metadata()?.len()
    );
    println!("{:?}", store.fetch(4711)?);
    for document in store.fetch_many(&[3, 1, 2])? {
        println!("{} has {} pages", document.title, document.pages);
    }
    if let Err(error) = store.fetch(100_000) {
        println!("as it should be: {error}");
    }
    Ok(())
}
