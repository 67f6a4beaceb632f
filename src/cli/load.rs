//! The configuration and the alarm files it names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::alarm::Alarm;
use crate::config::{self, Config};
use crate::definition::{Definition, duplicates, parse};
use crate::finding::{Finding, Position};

/// Read if it is there and no other file is named.
pub(super) const DEFAULT_CONFIG: &str = "/etc/cwbridge/cwbridge.toml";

/// A larger file is not what it is taken for.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The configuration, and the alarms of the files that it names; `None` where it names none.
pub(super) fn load(config: Option<&Path>) -> Result<(Config, Option<Vec<Alarm>>), Vec<Finding>> {
    let path = match config {
        Some(path) => Some(path),
        None => Some(Path::new(DEFAULT_CONFIG)).filter(|path| path.exists()),
    };
    let (name, text) = match path {
        Some(path) => (
            path.display().to_string(),
            read(path).map_err(|finding| vec![finding])?,
        ),
        None => (String::new(), String::new()),
    };
    let config = config::resolve(&name, &text)?;
    let folder = path.and_then(Path::parent).unwrap_or(Path::new(""));
    let alarms = config
        .alarms
        .as_ref()
        .map(|patterns| alarms(patterns, folder, &name))
        .transpose()?;
    Ok((config, alarms))
}

fn alarms(patterns: &[String], folder: &Path, config: &str) -> Result<Vec<Alarm>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut definitions: Vec<Definition> = Vec::new();
    for pattern in patterns {
        let files = match files(pattern, folder) {
            Ok(files) => files,
            Err(message) => {
                findings.push(Finding {
                    file: config.to_owned(),
                    position: Position::default(),
                    message,
                });
                continue;
            }
        };
        for file in files {
            match read(&file) {
                Ok(text) => {
                    let (mut sound, mut wrong) = parse(&file.display().to_string(), &text);
                    definitions.append(&mut sound);
                    findings.append(&mut wrong);
                }
                Err(finding) => findings.push(finding),
            }
        }
    }
    findings.append(&mut duplicates(&definitions));
    if findings.is_empty() {
        Ok(definitions
            .into_iter()
            .map(|definition| definition.alarm)
            .collect())
    } else {
        Err(findings)
    }
}

/// The files that a name or pattern stands for. A plain name need not exist here; reading it says so.
fn files(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![folder.join(pattern)]);
    }
    let escaped = glob::Pattern::escape(&folder.display().to_string());
    let full = Path::new(&escaped).join(pattern);
    let matches = glob::glob(&full.display().to_string()).map_err(|error| {
        format!("`alarms` has the pattern `{pattern}`, which is malformed: {error}")
    })?;
    let files: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
    if files.is_empty() {
        Err(format!(
            "`alarms` has the pattern `{pattern}`, which no file matches"
        ))
    } else {
        Ok(files)
    }
}

fn read(path: &Path) -> Result<String, Finding> {
    let finding = |message| Finding {
        file: path.display().to_string(),
        position: Position::default(),
        message,
    };
    let cannot = |error: std::io::Error| finding(format!("cannot be read: {error}"));
    let size = fs::metadata(path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(finding(format!(
            "has {size} bytes, but at most {FILE_BYTES_MAX} are read"
        )));
    }
    fs::read_to_string(path).map_err(cannot)
}
