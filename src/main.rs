//! The `cwbridge` program; everything is in the library.

use std::process::ExitCode;

use cwbridge::cli::{self, Environment};

fn main() -> ExitCode {
    cli::run(
        std::env::args_os(),
        Environment::read(),
        &mut std::io::stdout(),
    )
    .into()
}
