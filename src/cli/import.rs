//! `cwbridge import`: another program's configuration as one of ours.

use std::io::Write;
use std::path::PathBuf;

use crate::import::{Imported, cloudwatch_agent};

use super::load::read;
use super::{Exit, complain};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The JSON of the CloudWatch agent; what cannot be taken is told, and the exit code is then 1
    CloudwatchAgent {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn run(command: Command, out: &mut impl Write) -> Exit {
    let Command::CloudwatchAgent { file } = command;
    let imported = read(file).and_then(|(path, text)| {
        let imported = cloudwatch_agent(&text);
        imported.map_err(|problem| format!("{}: {problem}", path.display()))
    });
    let Imported { text, not_taken } = match imported {
        Ok(imported) => imported,
        Err(problem) => {
            complain(&[problem]);
            return Exit::CouldNotStart;
        }
    };
    if let Err(error) = out.write_all(text.as_bytes()) {
        complain(&[format!("cannot write the configuration: {error}")]);
        return Exit::CouldNotStart;
    }
    let told: Vec<String> = not_taken
        .iter()
        .map(|what| format!("not taken: {what}"))
        .collect();
    complain(&told);
    match told.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    }
}
