//! `ringdb profile`: the distances of all vectors as a picture, and the radii to ask for.

use serde_json::Value;

use crate::support::Place;

/// A hundred numbers, so that distances from 0 are 0 to 99.
fn hundred() -> Place {
    let place = Place::new();
    let numbers: Vec<f32> = (0..100_u8).map(f32::from).collect();
    place.npy("v.npy", &[100, 1], &numbers);
    place.run("build @db --vectors @v.npy").done();
    place
}

#[test]
fn a_picture_shows_bins_shares_and_radii() {
    let place = hundred();
    let out = place.run("profile @db --vector [0] --bins 3").done();
    let expected = "              distance  vectors
[ 0.000000, 33.000000)       33  ██████████████████████████████████████▉
[33.000000, 66.000000)       33  ██████████████████████████████████████▉
[66.000000, 99.000000]       34  ████████████████████████████████████████
  0.1 % within 0.0
    1 % within 0.0
   10 % within 9.0
   25 % within 24.0
   50 % within 49.0
   75 % within 74.0
   90 % within 89.0
   99 % within 98.0
  100 % within 99.0
for       1 hit use --within 0.0
for     10 hits use --within 9.0
for    100 hits use --within 99.0
100 vectors
";
    assert_eq!(out, expected);
}

#[test]
fn edges_can_be_given_and_what_is_beside_them_is_shown() {
    let place = hundred();
    let out = place
        .run("profile @db --vector [0] --edges 10,20,90")
        .done();
    let lines: Vec<&str> = out.lines().take(5).collect();
    assert_eq!(
        lines,
        [
            "              distance  vectors",
            "[        0, 10.000000)       10",
            "[10.000000, 20.000000)       10  █████▋",
            "[20.000000, 90.000000]       71  ████████████████████████████████████████",
            "(90.000000,       inf)        9",
        ]
    );
    let text = place.run("profile @db --vector [0] --json --edges -0,inf");
    let line: Value = serde_json::from_str(&text.done()).expect("JSON");
    assert_eq!(line["edges"], serde_json::json!([0.0, null]));
    assert_eq!(line["unit"], "distance");
    assert_eq!((&line["below"], &line["above"]), (&0.into(), &0.into()));
    assert_eq!(line["counts"], serde_json::json!([100]));
}

#[test]
fn edges_that_are_none_are_wrong_usage() {
    let place = hundred();
    for (edges, why) in [
        ("5", "there must be at least two"),
        ("-1,2", "-1 is no distance"),
        ("0,NaN", "NaN is no distance"),
        ("0,2,1", "1 does not follow on 2"),
        ("2,2", "2 does not follow on 2"),
        ("-0,0", "0 does not follow on 0"),
        ("0,x", "'x' is no number"),
        ("0,,1", "'' is no number"),
    ] {
        let expected = format!("error: invalid value '{edges}' for '--edges <EDGES>': {why}");
        // Before anything is opened.
        for db in ["@db", "@none"] {
            let text = place.run(&format!("profile {db} --vector [0] --edges {edges}"));
            assert_eq!(text.misused(), expected);
        }
    }
    let text = place.run("profile @db --vector [0] --edges 0,1 --edges 2,3");
    assert!(text.misused().contains("cannot be used multiple times"));
    let text = place.run("profile @db --vector [0] --bins 0").misused();
    assert!(
        text.starts_with("error: invalid value '0' for '--bins <N>'"),
        "{text}"
    );
}

/// What the picture says, the other commands say as well.
#[test]
fn json_holds_every_number_of_every_query() {
    let place = hundred();
    place.npy("q.npy", &[2, 1], &[0.0_f32, 50.5]);
    let out = place.run("profile @db --vectors @q.npy --json").done();
    assert_eq!(out.lines().count(), 2);
    for (query, line) in out.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            (&line["query"], &line["vectors"]),
            (&query.into(), &100.into())
        );
        let numbers = |name: &str| -> Vec<f64> {
            let numbers = line[name].as_array().expect("an array").iter();
            numbers
                .map(|number| number.as_f64().expect("a number"))
                .collect()
        };
        let (edges, counts) = (numbers("edges"), numbers("counts"));
        assert_eq!((edges.len(), counts.len()), (21, 20));
        assert_eq!(counts.iter().sum::<f64>(), 100.0);
        assert!(edges.is_sorted_by(|a, b| a < b));
        let vector = ["[0]", "[50.5]"][query];
        for (n, radius) in line["radii"].as_object().expect("an object") {
            let radius = radius.as_f64().expect("a number");
            let count = place.run(&format!("count @db --vector {vector} --within {radius:?}"));
            let count: u64 = count.done().trim().parse().expect("a number");
            let below = place.run(&format!("count @db --vector {vector} --range ..{radius:?}"));
            let below: u64 = below.done().trim().parse().expect("a number");
            let n: u64 = n.parse().expect("a number");
            assert!(below < n && n <= count, "{below} {n} {count}");
        }
        assert_eq!(line["quantiles"]["1"], edges[20]);
    }
    let out = place
        .run("profile @db --id 3 --not-self --json --explain")
        .done();
    let line: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(line["vectors"], 99);
    assert_eq!(line["explain"]["filter"]["outside"], 1);
    let text = place.run("profile @db --id 3 --explain");
    assert!(text.err.starts_with("tier "), "{}", text.err);
}

#[test]
fn of_nothing_there_is_no_picture() {
    let place = Place::new();
    place.npy::<f32>("none.npy", &[0, 1], &[]);
    place.npy("one.npy", &[1, 1], &[2.0_f32]);
    place.run("build @none --vectors @none.npy").done();
    place.run("build @one --vectors @one.npy").done();
    assert_eq!(
        place.run("profile @none --vector [0]").done(),
        "0 vectors\n"
    );
    assert_eq!(
        place.run("profile @none --vector [0] --json").done(),
        "{\"vectors\":0,\"unit\":\"distance\",\"below\":0,\"edges\":[],\"counts\":[],\"above\":0,\
         \"quantiles\":{},\"radii\":{}}\n"
    );
    let out = place.run("profile @none --vector [0] --edges 1,2").done();
    assert!(out.ends_with("        0\n0 vectors\n"), "{out}");
    let out = place.run("profile @one --vectors @none.npy").done();
    assert_eq!(out, "0 queries\n");
    let out = place.run("profile @one --vector [0]").done();
    assert!(out.contains("[2.000000, 2.000002]        1  ███"), "{out}");
    assert!(
        out.ends_with("for       1 hit use --within 2.0\n1 vector\n"),
        "{out}"
    );
    assert_eq!(
        place.run("profile @one --id 0 --not-self").done(),
        "0 vectors\n"
    );
}

#[test]
fn kilometres_are_binned_as_kilometres() {
    let place = Place::new();
    place.write("p.csv", "name,lat,lon\na,0,0\nb,0,1\nc,0,2\nd,0,180\n");
    place.run("build @db --csv @p.csv --lat-lon lat,lon").done();
    let out = place.run("profile @db --place 0,0 --km --edges 0,100,200,400 --json");
    let line: Value = serde_json::from_str(&out.done()).expect("JSON");
    assert_eq!(line["counts"], serde_json::json!([1, 1, 1]));
    assert_eq!(
        (&line["above"], &line["edges"][2]),
        (&1.into(), &200.0.into())
    );
    let out = place.run("profile @db --place 0,0 --km").done();
    assert!(
        out.starts_with("                          km  vectors\n"),
        "{out}"
    );
    assert!(
        out.contains("for       1 hit use --km --within 0.0\n"),
        "{out}"
    );
    assert!(out.contains("100 % within 20015.114442035923\n"), "{out}");
    let total: usize = out
        .lines()
        .filter_map(|line| {
            let (_, behind) = line.split_once([')', ']'])?;
            behind.split_whitespace().next()?.parse::<usize>().ok()
        })
        .sum();
    assert_eq!(total, 4, "{out}");
}

/// What is said of the radii holds where they are pasted into `count`, also among equal distances and without the vector
/// itself.
#[test]
fn radii_are_those_of_the_options_beside_them() {
    let place = Place::new();
    let numbers: Vec<f32> = (0..50_u8).map(|i| f32::from(i / 5)).collect();
    place.npy("v.npy", &[50, 1], &numbers);
    place.run("build @db --vectors @v.npy").done();
    for from in ["--id 7", "--id 7 --not-self"] {
        let out = place.run(&format!("profile @db {from}")).done();
        let uses: Vec<&str> = out.lines().filter(|it| it.starts_with("for ")).collect();
        assert_eq!(uses.len(), 2, "{out}");
        for line in uses {
            let (number, options) = line[4..].split_once(" use ").expect("options");
            let number = number.split_whitespace().next().expect("a number");
            let number: u64 = number.parse().expect("a number");
            let count = |options: &str| -> u64 {
                let count = place.run(&format!("count @db --id 7 {options}")).done();
                count.trim().parse().expect("a number")
            };
            assert_eq!(options.contains("--not-self"), from.contains("--not-self"));
            let nearer = options.replace("--within ", "--range ..");
            let (within, nearer) = (count(options), count(&nearer));
            assert!(
                nearer < number && number <= within,
                "{line}: {nearer} {within}"
            );
        }
    }
}

/// Edges that would look alike are shown with all their digits.
#[test]
fn bins_of_close_distances_are_told_apart() {
    let place = Place::new();
    let numbers = [1.0_f32, 1.000_000_1, 1.000_000_2];
    place.npy("v.npy", &[3, 1], &numbers);
    place.run("build @db --vectors @v.npy").done();
    let out = place.run("profile @db --vector [0] --bins 2").done();
    let last = format!("{:?}]  ", f64::from(numbers[2]));
    assert!(
        out.starts_with(&" ".repeat(10)) && out.contains(&last),
        "{out}"
    );
}
