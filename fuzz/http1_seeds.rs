//! Writes each message of tests/corpus/http1.rs into a file of the folder that is named. scripts/fuzz compiles it by
//! rustc alone: neither the corpus nor this needs more than std.

#[allow(dead_code, reason = "the tests read more of a row than its bytes")]
#[path = "../tests/corpus/http1.rs"]
mod corpus;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .expect("usage: http1_seeds FOLDER");
    let folder = std::path::PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    for (row, case) in corpus::cases().iter().enumerate() {
        std::fs::write(folder.join(format!("row-{row:03}")), &case.bytes)?;
    }
    Ok(())
}
