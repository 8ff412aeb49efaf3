//! Writes the inputs that fuzzing starts from: `cargo run -p ringdb-fuzz-bodies --example seeds`.

use std::error::Error;
use std::fs;
use std::path::Path;

use ringdb_storage::PayloadStoreBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/payload_store");
    fs::create_dir_all(&corpus)?;
    for len in [0_u8, 1, 4] {
        let dir = tempfile::tempdir()?;
        let paths = ["payloads", "offsets"].map(|name| dir.path().join(name));
        let mut builder = PayloadStoreBuilder::new()?;
        for i in 0..len {
            builder.push(("word".repeat(usize::from(i)), vec![i; 3]))?;
        }
        builder.finish_persisted(&paths[0], &paths[1])?;
        let [payloads, offsets] = [fs::read(&paths[0])?, fs::read(&paths[1])?];
        for sign in [0, 1] {
            let [low, high] = u16::try_from(payloads.len())?.to_le_bytes();
            let input = [&[sign, low, high][..], &payloads, &offsets].concat();
            fs::write(corpus.join(format!("seed-{len}-{sign}")), input)?;
        }
    }
    Ok(())
}
