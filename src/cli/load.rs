//! The configuration and the alarm files it names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::alarm::Alarm;
use crate::config::{self, AlarmFiles, Config};
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
        Some(path) => {
            let name = path.display().to_string();
            let unreadable = |message| {
                vec![Finding {
                    file: "--config".to_owned(),
                    position: Position::default(),
                    message,
                }]
            };
            let (_, text) = read(path.to_owned()).map_err(unreadable)?;
            (name, text)
        }
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

fn alarms(files: &[AlarmFiles], folder: &Path, config: &str) -> Result<Vec<Alarm>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut definitions: Vec<Definition> = Vec::new();
    for AlarmFiles { pattern, position } in files {
        let texts: Result<Vec<(PathBuf, String)>, String> =
            matching(pattern, folder).and_then(|files| files.into_iter().map(read).collect());
        match texts {
            Ok(texts) => {
                for (file, text) in texts {
                    let (mut sound, mut wrong) = parse(&file.display().to_string(), &text);
                    definitions.append(&mut sound);
                    findings.append(&mut wrong);
                }
            }
            Err(message) => findings.push(Finding {
                file: config.to_owned(),
                position: *position,
                message: format!("`alarms`: {message}"),
            }),
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
fn matching(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![folder.join(pattern)]);
    }
    let folder = Path::new(&glob::Pattern::escape(&folder.display().to_string())).join(pattern);
    let matches = glob::glob(&folder.display().to_string())
        .map_err(|error| format!("the pattern `{pattern}` is malformed: {error}"))?;
    let files: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
    if files.is_empty() {
        Err(format!("no file matches `{pattern}`"))
    } else {
        Ok(files)
    }
}

fn read(path: PathBuf) -> Result<(PathBuf, String), String> {
    let cannot = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let size = fs::metadata(&path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!(
            "`{}` has {size} bytes, but at most {FILE_BYTES_MAX} are read",
            path.display()
        ));
    }
    let text = fs::read_to_string(&path).map_err(cannot)?;
    Ok((path, text))
}
