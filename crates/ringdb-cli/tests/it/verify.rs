//! `ringdb verify`: a line for each damage, and the exit code that says so.

use std::fs;

use crate::support::{Outcome, Place, command, outcome};

/// Flips a bit of a file in the database.
fn flip(place: &Place, name: &str, at: usize) {
    let path = place.path("db").join(name);
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("it is writable");
}

#[test]
fn a_whole_database_is_counted() {
    let place = Place::with_database();
    let files = [
        "MANIFEST",
        "segment-000001/offsets.bin",
        "segment-000001/payloads.bin",
        "segment-000001/vectors.bin",
    ];
    let bytes = files.map(|name| {
        let path = place.path("db").join(name);
        fs::metadata(path).expect("it is there").len()
    });
    let bytes: u64 = bytes.iter().sum();
    assert!(bytes < 1000, "digits in groups would show otherwise");
    let expected = format!("4 files, {bytes} bytes, 4 blocks, 5 payloads checked\n");
    assert_eq!(place.run("verify @db").done(), expected);
}

#[test]
fn each_damage_is_a_line_and_all_together_a_failure() {
    let place = Place::with_database();
    let db = place.shown("db");
    flip(&place, "segment-000001/vectors.bin", 70);
    let outcome = place.run("verify @db");
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.err, format!("ringdb: {db} is damaged: 1 finding\n"));
    let start = format!("{db}/segment-000001/vectors.bin at byte 64: checksum ");
    assert!(outcome.out.starts_with(&start), "{}", outcome.out);
    let end = " 4 blocks, 5 payloads checked\n";
    assert!(outcome.out.ends_with(end), "{}", outcome.out);

    flip(&place, "segment-000001/payloads.bin", 70);
    fs::remove_file(place.path("db/MANIFEST")).expect("it is there");
    let outcome = place.run("verify @db");
    let lines: Vec<_> = outcome.out.lines().collect();
    assert_eq!(lines.len(), 6, "{}", outcome.out);
    assert_eq!(lines[0], format!("{db}/MANIFEST at byte 0: missing"));
    let start = format!("{db}/segment-000001/payloads.bin at byte 64: ");
    assert!(lines[1].starts_with(&start), "{}", outcome.out);
    let payload = format!("{db}/segment-000001/payloads.bin at byte 64: payload 0 is damaged");
    assert_eq!(lines[2], payload);
    assert!(lines[4].starts_with("3 files, "), "{}", outcome.out);
    assert_eq!(lines[5], "4 of 5 payloads whole");
    assert_eq!(
        outcome.err,
        format!("ringdb: {db} is damaged: 4 findings\n")
    );
}

#[test]
fn coordinates_that_are_not_finite_are_damage() {
    // Of ring-db, whose directories have no checksums.
    let place = Place::new();
    fs::create_dir(place.path("db")).expect("the directory is writable");
    for (name, bytes) in [
        ("meta.bin", [1_u64, 1].map(u64::to_le_bytes).concat()),
        ("vectors.bin", f32::NAN.to_le_bytes().to_vec()),
        ("norms_sq.bin", vec![0; 4]),
        ("payloads.bin", Vec::new()),
        ("offsets.bin", vec![0; 16]),
    ] {
        place.write(&format!("db/{name}"), bytes);
    }
    let outcome = place.run("verify @db");
    let expected = format!(
        "{}/vectors.bin at byte 0: coordinate 0 of row 0 is NaN\n\
         5 files, 40 bytes, 0 blocks, 0 payloads checked\n",
        place.shown("db")
    );
    assert_eq!((outcome.code, outcome.out), (Some(1), expected));
}

#[test]
fn what_cannot_be_looked_at_is_said_without_a_report() {
    let place = Place::new();
    let missing = place.run("verify @none").failed();
    let start = format!("cannot open {}: ", place.shown("none"));
    assert!(missing.starts_with(&start), "{missing}");
    fs::create_dir(place.path("empty")).expect("the directory is writable");
    let empty = place.shown("empty");
    assert_eq!(
        place.run("verify @empty").failed(),
        format!("cannot verify {empty}: {empty} is not a database: it has no MANIFEST")
    );
    let misused = place.run("verify").misused();
    assert!(misused.starts_with("error: "), "{misused}");
}

#[cfg(unix)]
#[test]
fn names_cannot_harm_the_terminal() {
    let place = Place::with_database();
    let harmful = place.path("d\x1b[2J\nb");
    fs::rename(place.path("db"), &harmful).expect("any byte may be in a name");
    fs::remove_file(harmful.join("MANIFEST")).expect("it is there");
    fs::write(harmful.join("\x1b[31m"), "").expect("any byte may be in a name");
    let harmful = harmful.into_os_string();
    let run = |words: &[&str]| {
        let words = words.iter().map(|word| match *word {
            "@" => harmful.clone(),
            word => word.into(),
        });
        outcome(command(&words.collect::<Vec<_>>()))
    };
    let out = place.shown("new\x1b[2J");
    for words in [
        ["verify", "@"].as_slice(),
        &["info", "@"],
        &["salvage", "@", "@"],
        &["salvage", "@", &out],
        &["rebuild-codes", &out],
        &["rebuild-codes", "@"],
        &["info", &out],
        &["query", "@", "--id", "0", "--within", "0"],
    ] {
        let Outcome { out, err, .. } = run(words);
        let text = out + &err;
        assert!(!text.is_empty(), "{words:?}");
        let is_harmful = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(is_harmful), "{words:?}: {text:?}");
        if words[0] == "verify" {
            assert!(text.contains("d\\u001b[2J b"), "{words:?}: {text:?}");
        }
    }
}
