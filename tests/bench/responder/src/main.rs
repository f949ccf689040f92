//! What the benchmark measures against, at almost no cost of its own.
//!
//! `fcgate-bench-responder fastcgi ADDRESS` is a FastCGI application, on `unix:/path` or `host:port`;
//! `fcgate-bench-responder floor CONFIGURATION` is a web server that does nothing that a web server should: no other one
//! can be cheaper. Its configuration is two lines: the address and the folder. Both serve from one thread and until they
//! are ended.

mod fastcgi;
mod floor;
mod listener;

use std::io;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let served = match *arguments {
        ["fastcgi", address] => run(fastcgi::serve(address)),
        ["floor", configuration] => run(floor::serve(Path::new(configuration))),
        _ => Err(io::Error::other(
            "usage: fastcgi ADDRESS | floor CONFIGURATION",
        )),
    };
    if let Err(error) = served {
        eprintln!("fcgate-bench-responder: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(serve: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(serve)
}
