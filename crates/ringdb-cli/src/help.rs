//! What `--help` says behind the options: each command what concerns it.

/// The parts of a text, an empty line between them.
pub(crate) fn of(parts: &[&str]) -> String {
    parts.join("\n\n")
}

pub(crate) const QUERY: &[&str] = &[
    RANGES,
    KM,
    HITS,
    BY_DISTANCE,
    EXPLAIN,
    EXPLAIN_JSON,
    NO_QUERIES,
    EXIT_CODES,
];
pub(crate) const COUNT: &[&str] = &[RANGES, KM, EXPLAIN, NOTHING_COUNTED, EXIT_CODES];
pub(crate) const KNN: &[&str] = &[
    KM,
    HITS,
    BY_DISTANCE,
    EXPLAIN,
    EXPLAIN_JSON,
    NO_QUERIES,
    EXIT_CODES,
];
pub(crate) const SAMPLE: &[&str] = &[
    RANGES,
    KM,
    HITS,
    BY_HASH,
    EXPLAIN,
    EXPLAIN_JSON,
    NO_QUERIES,
    EXIT_CODES,
];
pub(crate) const PROFILE: &[&str] = &[
    KM,
    COUNTED,
    EXPLAIN,
    EXPLAIN_BINS,
    EXPLAIN_JSON,
    NO_QUERIES,
    EXIT_CODES,
];
pub(crate) const SALVAGE: &[&str] = &[SALVAGED, SALVAGE_EXIT_CODES];
pub(crate) const REBUILD: &[&str] = &[REBUILT, REBUILD_EXIT_CODES];

const RANGES: &str = "\
Bounds are true Euclidean distances, read as 64-bit numbers. Ranges can be written
  [a, b]  (a, b]  [a, b)  (a, b)    a square bracket includes its bound, a round one does not
  a..b  a..=b  a..  ..b  ..=b       as in Rust: a is included, b only with `=`
and the upper bound may be inf.";

const KM: &str = "\
With --km, which --place needs, bounds and distances are kilometres along a sphere of the earth's mean radius,
6 371.0088 km. The vectors must be places: points of a sphere of radius 1, such as `ringdb build --csv` makes
and --place means, to within 0.33 m. Every stored vector is looked at first, and one of another length is an
error. Without --km, bounds are straight distances between such points, in radii of the earth.";

const HITS: &str = "\
With --json, each hit is one line
  {\"query\":0,\"id\":7,\"distance\":0.25,\"payload\":{\"any\":\"JSON\"}}
and each query ends with the line
  {\"query\":0,\"total\":26,\"shown\":10,\"truncated\":true}
\"query\" is the row in the file of --vectors and is left out without it. \"distance\" is the shortest number
that reads back as the same 64-bit float; with --km it is called \"km\", as in the table. \"payload\" is the
stored text and is left out if the database has no JSON payloads.";

const BY_DISTANCE: &str = "\
Where at most a quarter of more than 65 536 hits is shown in the order of their distances, counts may find first
between which distances those lie; --explain tells of the search between these, and not of the counts.";

const BY_HASH: &str = "\
The hits whose ids have the smallest SipHash-2-4 under the seed are drawn.";

const COUNTED: &str = "\
First, how many vectors are in each bin: a square bracket includes its edge, a round one does not. Then quantiles:
the smallest distances within which there are these shares of the vectors. Last, the smallest radii within which
there are 1, 10, 100, 1 000 and 10 000 vectors, and more only where several are at that same distance.
Edges in the picture are rounded if they can be told apart so; all other numbers are exact.

Of --bins there are fewer where 64-bit numbers cannot tell so many edges apart. With --json, each query is one line
  {\"query\":0,\"vectors\":99,\"unit\":\"distance\",\"below\":0,\"edges\":[0.0,1.0,2.0],\"counts\":[9,90],\"above\":0,
  \"quantiles\":{\"0.5\":1.25},\"radii\":{\"10\":1.125}}
where \"unit\" is \"distance\" or \"km\", and an edge at infinity is null. Without vectors there are only such bins as
--edges says, and no quantiles and radii.";

const EXPLAIN: &str = "\
With --explain, each query tells on standard error of its tiers, from boxes, the filter of --not-self, prefix and
codes to the coordinates themselves: how many vectors each saw, proved outside or inside the ring or left unsure to
the next, and the bytes that it read.";

const EXPLAIN_BINS: &str = "\
Of a profile, --explain tells of the bins alone, not of quantiles and radii; inside are the vectors in bins, outside
those below and above them.";

const EXPLAIN_JSON: &str = "\
With --json, what --explain tells is a member of the last line of each query:
  \"explain\":{\"boxes\":{...},\"filter\":{...},
  \"prefix\":{\"rows\":99,\"outside\":90,\"inside\":0,\"unsure\":9,\"bytes\":4480},
  \"codes\":{...},\"fine\":{...},\"rows\":{...},\"scan\":{...},
  \"spans\":1,\"left_boxes\":0,\"left_prefix\":0,\"switched\":0}
  spans        parts of the vectors that were searched one by one
  left_boxes   searches that went on from boxes to codes or coordinates
  left_prefix  spans that went on from the prefix to codes
  switched     spans that went on from codes to a scan of the coordinates";

const NO_QUERIES: &str = "\
A file of --vectors without rows asks nothing: the table is the line `0 queries`, and --json prints no line.";

const NOTHING_COUNTED: &str = "\
A file of --vectors without rows asks nothing, and nothing is printed.";

const SALVAGED: &str = "\
The file salvaged.csv in OUT tells of each vector of the old database, in order:
  old id,new id,reason
Without a new id it was left out for this reason; with both, it was kept without its payload.
If not one vector can be kept, nothing is made and the message says why. The new database has codes and
boxes if the old one had some, damaged or not; if its MANIFEST is lost, as a new one of its size.";

const REBUILT: &str = "\
The codes and boxes that the database has are not read and may be damaged; all else is checked and stays the same.
The new database is written beside the old one and takes its place in one step.";

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done, also when nothing was found, and when the reader of the output went away
  1  failed, with a message on standard error
  2  wrong usage";

pub(crate) const VERIFY_EXIT_CODES: &str = "\
Exit codes:
  0  the database is whole
  1  it is damaged, or could not be looked at; a message on standard error says which
  2  wrong usage";

const SALVAGE_EXIT_CODES: &str = "\
Exit codes:
  0  done, unless all was lost, and when the reader of the output went away
  1  failed, or nothing could be kept, with a message on standard error; OUT is as it was
  2  wrong usage";

const REBUILD_EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, with a message on standard error; the database is as it was unless the message says otherwise
  2  wrong usage";
