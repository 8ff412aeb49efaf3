//! What a search did, for `--explain`.

use std::io::{self, Write};

use ringdb::{Explain, Tier, TierReport};

use crate::questions::Asked;

/// Tells on standard error what was done for a query, if that is wanted.
pub(crate) fn tell(args: &Asked, query: Option<usize>, explain: &Explain) {
    if args.explain {
        let query = query.map(|query| format!("query {query}\n"));
        let text = format!("{}{explain}\n", query.unwrap_or_default());
        // Nobody is left to hear that standard error cannot be written.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// What a search did as a JSON object: every tier, also one that saw no rows.
pub(crate) fn json(explain: &Explain) -> String {
    let tiers = Tier::ALL.map(|tier| {
        let TierReport {
            rows,
            outside,
            inside,
            unsure,
            bytes,
            ..
        } = explain.tier(tier);
        let name = tier.name();
        format!(
            "\"{name}\":{{\"rows\":{rows},\"outside\":{outside},\"inside\":{inside},\
             \"unsure\":{unsure},\"bytes\":{bytes}}}"
        )
    });
    let (spans, switched) = (explain.spans(), explain.switched());
    let (left_boxes, left_prefix) = (explain.left_boxes(), explain.left_prefix());
    format!(
        "{{{},\"spans\":{spans},\"left_boxes\":{left_boxes},\"left_prefix\":{left_prefix},\
         \"switched\":{switched}}}",
        tiers.join(",")
    )
}
