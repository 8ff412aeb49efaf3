//! One other library behind the protocol of the comparison: `ringdb-peers NAME` answers requests on
//! standard input until it ends.

mod protocol;

mod kiddo_tree;
mod ring_db_0_11;
mod ring_db_0_3;

use std::io::{BufRead, Write};
use std::process::ExitCode;

use protocol::{Peer, Result};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut peer: Box<dyn Peer> = match name.as_str() {
        "ring-db-0.3.0" => Box::new(ring_db_0_3::Adapter::default()),
        "ring-db-0.11.0" => Box::new(ring_db_0_11::Adapter::default()),
        "kiddo" => Box::new(kiddo_tree::Adapter::default()),
        _ => return Err(format!("there is no peer `{name}`").into()),
    };
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let reply = protocol::reply(peer.as_mut(), &line?);
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}
