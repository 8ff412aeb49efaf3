//! Places on earth: `ringdb build --csv`, and `ringdb query` with --place and --km.

use ringdb::{BackendPreference, RingDb, SealedRingDb, geo};

use crate::support::{Outcome, Place, command, contents, names, outcome};

/// Around Sydney, and Fiji on both sides of the antimeridian. The columns are neither first nor next to each other.
const CSV: &str = "\
name,lat,country,lon,note
Neutral Bay,-33.83784,AU,151.2175,
Kurraba Point,-33.84235,AU,151.22256,\"a \"\"point\"\", no bay\"
Kirribilli,-33.84867,AU,151.2162,\"two
lines\"
Taveuni,-16.85,FJ,-179.95,
Rabi, -16.5 ,FJ,+179.99,\u{e9}
";

const BUILD: &str = "build @db --csv @p.csv --lat-lon lat,lon";

fn built(csv: impl AsRef<[u8]>) -> (Place, SealedRingDb) {
    let place = Place::new();
    place.write("p.csv", csv);
    place.run(BUILD).done();
    let db = RingDb::<()>::load(&place.path("db"), BackendPreference::Cpu).expect("built");
    (place, db)
}

fn ask(args: &[&str]) -> Outcome {
    let (place, _) = built(CSV);
    let mut words = place.args("query @db");
    words.extend(args.iter().map(|word| (*word).to_owned()));
    outcome(command(&words))
}

#[test]
fn places_become_points_and_the_other_columns_payloads() {
    let place = Place::new();
    place.write("p.csv", CSV);
    let db = place.shown("db");
    assert_eq!(
        place.run(BUILD).done(),
        format!("{db}: 5 vectors of 3 dims, each with a JSON payload\n")
    );
    let db = RingDb::<()>::load(&place.path("db"), BackendPreference::Cpu).expect("built");
    let expected = [
        (
            -33.83784,
            151.2175,
            r#"{"name":"Neutral Bay","country":"AU","note":""}"#,
        ),
        (
            -33.84235,
            151.22256,
            r#"{"name":"Kurraba Point","country":"AU","note":"a \"point\", no bay"}"#,
        ),
        (
            -33.84867,
            151.2162,
            r#"{"name":"Kirribilli","country":"AU","note":"two\nlines"}"#,
        ),
        (
            -16.85,
            -179.95,
            r#"{"name":"Taveuni","country":"FJ","note":""}"#,
        ),
        (
            -16.5,
            179.99,
            "{\"name\":\"Rabi\",\"country\":\"FJ\",\"note\":\"\u{e9}\"}",
        ),
    ];
    for (id, (lat, lon, payload)) in expected.into_iter().enumerate() {
        let id = id as u32;
        assert_eq!(
            *db.vector(id).expect("stored"),
            geo::point(lat, lon).expect("a place")
        );
        assert_eq!(db.payload_bytes(id).expect("stored"), payload.as_bytes());
    }
}

/// Builds of a file and compares the payloads.
#[track_caller]
fn check_payloads(csv: &str, expected: &[&str]) {
    let (_place, db) = built(csv);
    let payloads = (0..db.len() as u32).map(|id| {
        let bytes = db.payload_bytes(id).expect("stored");
        std::str::from_utf8(bytes).expect("JSON is UTF-8")
    });
    assert_eq!(payloads.collect::<Vec<_>>(), expected, "{csv:?}");
}

#[test]
fn lines_can_end_in_any_way_and_blank_ones_are_no_rows() {
    let expected = [r#"{"a":"x"}"#, r#"{"a":"y"}"#];
    check_payloads("a,lat,lon\nx,1,2\ny,3,4\n", &expected);
    check_payloads("a,lat,lon\r\nx,1,2\r\ny,3,4\r\n", &expected);
    check_payloads("a,lat,lon\rx,1,2\ry,3,4\r", &expected);
    check_payloads("a,lat,lon\nx,1,2\ny,3,4", &expected);
    check_payloads("\na,lat,lon\n\n\nx,1,2\r\n\r\ny,3,4\n\n", &expected);
    check_payloads("lat,lon,a\n1,2,\"x\"\n3,4,\"y\"", &expected);
    check_payloads("lat,lon\n1,2\n", &["{}"]);
    check_payloads("lat,lon\n\n1,2\n\r\n\n", &["{}"]);
    // Names lose the blanks around them, values do not.
    check_payloads(" a\t,lat , lon\n x ,1, 2\n", &[r#"{"a":" x "}"#]);
    // What some programs write in front of UTF-8.
    check_payloads("\u{feff}a,lat,lon\r\nx,1,2\r\ny,3,4\r\n", &expected);
    check_payloads("\u{feff}\"a\",lat,lon\nx,1,2\ny,3,4\n", &expected);
    check_payloads(
        "\u{feff}\na,lat,lon\n\u{feff}x,1,2\n",
        &["{\"a\":\"\u{feff}x\"}"],
    );
    check_payloads("lat,lon,\"q\"\"\"\n1,2,5\"\n", &[r#"{"q\"":"5\""}"#]);
}

#[test]
fn a_file_of_names_alone_is_a_database_without_vectors() {
    let place = Place::new();
    place.write("p.csv", "name,lat,lon\n");
    let db = place.shown("db");
    assert_eq!(
        place.run(BUILD).done(),
        format!("{db}: 0 vectors of 3 dims, each with a JSON payload\n")
    );
    let query = "query @db --place 0,0 --within 9 --km";
    assert_eq!(place.run(query).done(), "0 hits, all shown\n");
}

/// The parser reads by blocks; the last rows of one and the first of the next are rows like others.
#[test]
fn every_row_of_a_long_file_is_kept() {
    let rows = 30_000;
    let lines = (0..rows).map(|row| format!("{},{}\r\n", row % 90, row % 7));
    let (_place, db) = built(format!("lat,lon\r\n{}", lines.collect::<String>()));
    assert_eq!(db.len(), rows);
    for row in 0..rows {
        let expected = geo::point((row % 90) as f64, (row % 7) as f64).expect("a place");
        assert_eq!(*db.vector(row as u32).expect("stored"), expected);
    }
}

/// Tries to build of a file and compares the message; nothing is left behind, and an old database stays.
#[track_caller]
fn check_refused(csv: impl AsRef<[u8]>, expected: &str) {
    let place = Place::with_database();
    let (before, old) = (names(&place.path("")), contents(&place.path("db")));
    place.write("p.csv", csv);
    for line in [
        "build @new --csv @p.csv",
        "build @db --replace --csv @p.csv",
    ] {
        let text = place.run(&format!("{line} --lat-lon lat,lon")).failed();
        assert_eq!(text.replace(&place.shown("p.csv"), "p.csv"), expected);
    }
    std::fs::remove_file(place.path("p.csv")).expect("it was written");
    assert_eq!(names(&place.path("")), before, "nothing is left behind");
    assert!(contents(&place.path("db")) == old, "the old one stays");
    assert!(place.run("info @db").done().starts_with("vectors   5\n"));
}

#[test]
fn a_file_of_more_columns_than_anybody_means_is_refused() {
    let names: Vec<String> = (0..65_534).map(|i| format!("c{i}")).collect();
    let names = format!("lat,lon,{}", names.join(","));
    check_refused(
        format!("{names},one_more\n"),
        "p.csv line 1: more than 65 536 fields",
    );
    check_refused(
        format!("{names}\n{}\n", ",".repeat(1_000_000)),
        "p.csv line 2: more than 65 536 fields",
    );
    check_refused(
        format!("{names}\n1,2\n"),
        "p.csv line 2: 2 fields, but the file has 65 536 columns",
    );
}

#[test]
fn names_of_columns_that_cannot_be_used() {
    check_refused("", "p.csv line 1: there are no names of columns");
    check_refused("\n\r\n\n", "p.csv line 1: there are no names of columns");
    check_refused(
        "name,latitude,lon\na,1,2\n",
        "p.csv line 1: no column is named 'lat', there are 'name', 'latitude', 'lon'",
    );
    check_refused(
        "\nlat;lon\n1;2\n",
        "p.csv line 2: no column is named 'lat', there are 'lat;lon'",
    );
    check_refused(
        "lat,lon,name, name\n1,2,a,b\n",
        "p.csv line 1: two columns are named 'name'",
    );
    check_refused(
        "lat,lon,name,name\n1,2,a,b\n",
        "p.csv line 1: two columns are named 'name'",
    );
    check_refused(
        "lat,lon,lat\n1,2,3\n",
        "p.csv line 1: two columns are named 'lat'",
    );
    check_refused(
        "\u{feff}lat,lon\n1,2\n3,91\n4,x\n",
        "p.csv line 4: lon is 'x', which is no number",
    );
    check_refused(
        "\u{feff}\u{feff}lat,lon\n1,2\n",
        "p.csv line 1: no column is named 'lat', there are '\u{feff}lat', 'lon'",
    );
    check_refused(
        b"lat,lon,caf\xe9\n1,2,3\n",
        "p.csv line 1: field 3 is not UTF-8",
    );
    for mark in [b"\xff\xfe", b"\xfe\xff"] {
        check_refused(
            [&mark[..], b"l\0a\0t\0,\0l\0o\0n\0"].concat(),
            "p.csv line 1: the text is in UTF-16, UTF-8 is needed",
        );
    }
    check_refused(
        "lat\u{1b}[31m,lon\n1,2\n",
        "p.csv line 1: no column is named 'lat', there are 'lat\\u001b[31m', 'lon'",
    );
}

#[test]
fn rows_that_are_no_places() {
    let row = |row: &str, expected: &str| {
        check_refused(
            format!("name,lat,lon\na,1,2\n{row}\nc,3,4\n"),
            &format!("p.csv line 3: {expected}"),
        );
    };
    row("b,90.5,0", "latitude 90.5 is not from -90 to 90 degrees");
    row("b,-91,0", "latitude -91 is not from -90 to 90 degrees");
    row(
        "b,0,180.5",
        "longitude 180.5 is not from -180 to 180 degrees",
    );
    row("b,NaN,0", "latitude NaN is not from -90 to 90 degrees");
    row("b,0,inf", "longitude inf is not from -180 to 180 degrees");
    row("b,x,0", "lat is 'x', which is no number");
    row("b,0,", "lon is '', which is no number");
    row("b,\"1,5\",0", "lat is '1,5', which is no number");
    row("b,0", "2 fields, but the file has 3 columns");
    row("b", "1 field, but the file has 3 columns");
    row("b,0,0,0", "4 fields, but the file has 3 columns");
    row("  ", "1 field, but the file has 3 columns");
    row("\"\"", "1 field, but the file has 3 columns");
}

#[test]
fn texts_that_are_not_utf_8() {
    check_refused(
        b"name,lat,lon\na,1,2\ncaf\xe9,1,2\n",
        "p.csv line 3: field 1 is not UTF-8",
    );
    check_refused(
        b"name,lat,lon\na,1,\xff2\n",
        "p.csv line 2: field 3 is not UTF-8",
    );
}

#[test]
fn quotes_that_are_not_closed() {
    let refused = "p.csv line 3: a quote is not closed before the end of the file";
    check_refused("lat,lon,a\n1,2,x\n1,2,\"y\n1,2,z\n", refused);
    check_refused("lat,lon,a\n1,2,x\n1,2,\"y", refused);
    check_refused("lat,lon,a\n1,2,x\n1,2,\"y\"\"\n", refused);
    check_refused("lat,lon,a\n1,2,x\n\"1,2,y\n1,2,z\n", refused);
    check_refused("lat,lon,a\n1,2,\"x\ny\",\"", refused);
    check_refused(
        "lat,lon,\"a",
        "p.csv line 1: a quote is not closed before the end of the file",
    );
    check_refused(
        "lat,lon\n1,2\n\"\"",
        "p.csv line 3: 1 field, but the file has 2 columns",
    );
}

/// A quote left open would take in the rows up to the next one, and nobody would miss them.
#[test]
fn quotes_that_are_closed_within_a_field() {
    check_refused(
        "lat,lon,a\n1,2,\"6 inch\n3,4,y\n5,6,\"8 inch\"\n",
        "p.csv line 4: a quote opened on line 2 is closed before the end of its field; \
         a quote between quotes is written twice",
    );
    check_refused(
        "lat,lon,a\n1,2,\"c\"d\n",
        "p.csv line 2: a quote opened on the same line is closed before the end of its field; \
         a quote between quotes is written twice",
    );
}

#[test]
fn rows_without_an_end() {
    let x = "x".repeat(1 << 26);
    check_refused(
        format!("lat,lon,a\n\n1,2,{x}\n"),
        "p.csv line 3: a row has more than 67108864 bytes",
    );
}

#[test]
fn lines_are_numbered_as_editors_do() {
    let refused = "p.csv line 7: lat is 'x', which is no number";
    check_refused("a,lat,lon\n\n\"1\n2\n3\",1,2\n\nb,x,2\n", refused);
    check_refused(
        "a,lat,lon\r\n\r\n\"1\r\n2\r\n3\",1,2\r\n\r\nb,x,2\r\n",
        refused,
    );
    check_refused("a,lat,lon\r\r\"1\r2\r3\",1,2\r\rb,x,2\r", refused);
}

#[test]
fn files_that_cannot_be_read() {
    let place = Place::new();
    let missing = place
        .run("build @db --csv @none.csv --lat-lon lat,lon")
        .failed();
    let start = format!("cannot open {}: ", place.shown("none.csv"));
    assert!(missing.starts_with(&start), "{missing}");
    let directory = place.run("build @db --csv @ --lat-lon lat,lon").failed();
    let start = format!("cannot read {}: ", place.shown(""));
    assert!(directory.starts_with(&start), "{directory}");
    assert_eq!(names(&place.path("")), [""; 0], "nothing is left behind");
}

#[test]
fn wrong_usage_of_build() {
    let check = |line: &str, expected: &str| {
        let outcome = Place::new().run(&format!("build @db {line}"));
        assert!(outcome.err.starts_with(expected), "{line}: {}", outcome.err);
        outcome.misused();
    };
    let missing = "error: the following required arguments were not provided:";
    check(
        "",
        &format!("{missing}\n  <--vectors <FILE.npy>|--csv <FILE.csv>>\n"),
    );
    check(
        "--csv a.csv",
        &format!("{missing}\n  --lat-lon <COLUMNS>\n"),
    );
    check("--lat-lon lat,lon", missing);
    check(
        "--vectors v.npy --csv a.csv",
        "error: the argument '--vectors <FILE.npy>' cannot be used with '--csv <FILE.csv>'",
    );
    check(
        "--vectors v.npy --lat-lon lat,lon",
        "error: the argument '--vectors <FILE.npy>' cannot be used with '--lat-lon <COLUMNS>'",
    );
    check(
        "--csv a.csv --lat-lon lat,lon --payloads p.jsonl",
        "error: the argument '--csv <FILE.csv>' cannot be used with '--payloads <FILE.jsonl>'",
    );
    for columns in ["lat", "lat,lat", "lat,lon,alt"] {
        check(
            &format!("--csv a.csv --lat-lon {columns}"),
            &format!(
                "error: invalid value '{columns}' for '--lat-lon <COLUMNS>': \
                 write the names of two columns, such as lat,lon"
            ),
        );
    }
}

#[test]
fn kilometres_are_asked_for_and_told() {
    let near = [
        "--place",
        "-33.83784,151.2175",
        "--km",
        "--sort",
        "distance",
    ];
    let ask = |args: &[&str]| ask(&[&near[..], args].concat()).done();
    assert_eq!(
        ask(&["--range", "[0.5, 1]"]),
        "id            km  payload\n\
         \u{20}1      0.685600  {\"name\":\"Kurraba Point\",\"country\":\"AU\",\"note\":\"a \\\"point\\\", no bay\"}\n\
         1 hit, all shown\n"
    );
    let both = ask(&["--ring", "0.9", "0.4", "--json"]);
    let (first, rest) = both.split_once('\n').expect("two hits and a sum");
    assert!(first.starts_with("{\"id\":1,\"km\":0.68559"), "{both}");
    assert!(rest.starts_with("{\"id\":2,\"km\":1.2102"), "{both}");
    assert!(
        rest.ends_with("{\"total\":2,\"shown\":2,\"truncated\":false}\n"),
        "{both}"
    );

    // What was told is a bound that holds what it was told of.
    let km = first.split(&[':', ','][..]).nth(3).expect("the kilometres");
    assert_eq!(
        ask(&["--within", km, "--limit", "0"]),
        "2 hits, cut to 0 by --limit\n"
    );
    assert_eq!(
        ask(&["--range", &format!("[{km}, {km}]"), "--limit", "0"]),
        "1 hit, cut to 0 by --limit\n"
    );
    assert_eq!(
        ask(&["--range", &format!("({km}, 2]"), "--limit", "0"]),
        "1 hit, cut to 0 by --limit\n"
    );
    assert_eq!(
        ask(&["--within", "30000", "--limit", "0"]),
        "5 hits, cut to 0 by --limit\n"
    );
}

#[test]
fn the_antimeridian_is_no_border() {
    let out = ask(&[
        "--place",
        "-16.85,179.99",
        "--within",
        "50",
        "--km",
        "--json",
    ])
    .done();
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.starts_with("{\"id\":3,\"km\":6.385"), "{out}");
}

#[test]
fn counts_and_reports_know_kilometres() {
    let (place, _) = built(CSV);
    let km = |line: &str| place.run(&format!("{line} --km"));
    assert_eq!(km("count @db --id 0 --within 1.5").done(), "3\n");
    assert_eq!(km("count @db --id 0 --within 1.5 --not-self").done(), "2\n");
    assert_eq!(
        km("count @db --id 0 --range (0,1] --not-self").done(),
        "1\n"
    );
    let cut = km("query @db --id 0 --within 1.5 --not-self --limit 1").done();
    assert!(cut.ends_with("2 hits, cut to 1 by --limit\n"), "{cut}");
    let near = km("knn @db --id 0 --not-self -k 1 --json").done();
    assert!(near.starts_with("{\"id\":1,\"km\":0.68559"), "{near}");
    let drawn = km("sample @db --place 0,0 --within 30000 -k 5").done();
    assert!(drawn.starts_with("id            km  payload\n"), "{drawn}");
    let told = km("query @db --place 0,0 --within inf --json --explain").done();
    assert!(told.contains("\"total\":5,"), "{told}");
    assert!(told.contains("\"explain\":{"), "{told}");
}

#[test]
fn kilometres_need_places() {
    let place = Place::with_database();
    let db = place.shown("db");
    assert_eq!(
        place.run("query @db --id 0 --within 1 --km").failed(),
        format!("{db} has 2 dims, and --km measures between places, which have 3")
    );
    place.npy("v.npy", &[2, 3], &[1.0_f32, 0.0, 0.0, 1.0, 2.0, 2.0]);
    place.run("build @three --vectors @v.npy").done();
    let three = place.shown("three");
    let why = "has length 3, and --km measures between places, which have length 1";
    for ask in [
        "query @three --id 0 --within 1",
        "query @three --id 1 --within 1",
        "count @three --place 0,0 --within 1",
        "knn @three --place 0,0",
    ] {
        let text = place.run(&format!("{ask} --km"));
        assert_eq!(text.failed(), format!("vector 1 of {three} {why}"));
    }

    place.npy("w.npy", &[1, 3], &[1.0_f32, 0.0, 0.0]);
    place.run("build @one --vectors @w.npy").done();
    let text = place.run("query @one --vector [1,2,2] --within 1 --km");
    assert_eq!(text.failed(), format!("the vector of --vector {why}"));
    let rows = place.run("count @one --vectors @v.npy --within 1 --km");
    assert_eq!(rows.code, Some(1));
    assert_eq!(rows.out, "1\n");
    let file = place.shown("v.npy");
    assert_eq!(rows.err, format!("ringdb: {file} row 1 {why}\n"));
}

#[test]
fn wrong_usage_of_query() {
    let check = |args: &[&str], expected: &str| {
        let outcome = outcome(command(
            &[&["query", "none", "--within", "1"], args].concat(),
        ));
        assert!(
            outcome.err.starts_with(expected),
            "{args:?}: {}",
            outcome.err
        );
        outcome.misused();
    };
    check(
        &["--place", "-91,0"],
        "error: invalid value '-91,0' for '--place <LAT,LON>': latitude -91 is not from -90 to 90 degrees",
    );
    check(
        &["--place", "0"],
        "error: invalid value '0' for '--place <LAT,LON>': a place is written as latitude and longitude",
    );
    check(
        &["--place", "0,0"],
        "error: the following required arguments were not provided:\n  --km\n",
    );
    check(
        &["--place", "0,0", "--km", "--not-self"],
        "error: the argument '--place <LAT,LON>' cannot be used with '--not-self'",
    );
    for other in [["--id", "0"], ["--vector", "[1]"], ["--vectors", "v.npy"]] {
        let text = outcome(command(
            &[
                &["query", "none", "--within", "1", "--km", "--place", "0,0"],
                &other[..],
            ]
            .concat(),
        ));
        let text = text.misused();
        assert!(text.contains("cannot be used with"), "{text}");
    }
    check(
        &["--place", "0,0", "--km", "--range", "..1"],
        "error: the argument '--within <MAX>' cannot be used with '--range <RANGE>'",
    );
}

#[test]
fn kilometres_that_are_none() {
    let check = |args: &[&str], expected: &str| {
        let start = ["query", "none", "--place", "0,0", "--km"];
        let text = outcome(command(&[&start, args].concat())).misused();
        assert!(text.starts_with(expected), "{args:?}: {text}");
    };
    check(
        &["--within", "-1"],
        "error: invalid value '-1' for '--within <MAX>': ",
    );
    check(
        &["--within", "NaN"],
        "error: invalid value 'NaN' for '--within <MAX>': ",
    );
    check(
        &["--range", "[2, 1]"],
        "error: invalid value '[2, 1]' for '--range <RANGE>': ",
    );
    check(
        &["--ring", "1", "-2"],
        "error: invalid value for '--ring <D> <LAMBDA>': ",
    );
}
