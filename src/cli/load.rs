//! The configuration and the alarm files it names.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::alarm::{Alarm, MuteRule};
use crate::config::{self, AlarmFiles, Config};
use crate::definition::{Inputs, Parsed, duplicates, parse_with};
use crate::finding::{Finding, Position, did_you_mean};
use crate::guard::Guard;

/// Read if it is there and no other file is named.
pub(super) const DEFAULT_CONFIG: &str = "/etc/cwbridge/cwbridge.toml";

/// A larger file is not what it is taken for.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What was read, and everything that is wrong with it.
pub(super) struct Loaded {
    pub(super) config: Config,
    /// `None` where the configuration names no alarm files.
    pub(super) alarms: Option<Vec<Alarm>>,
    pub(super) mute_rules: Vec<MuteRule>,
    /// `None` where the configuration names no web-config file.
    pub(super) guard: Option<Guard>,
    pub(super) findings: Vec<Finding>,
}

/// A configuration, with the alarm files that it names.
pub(super) struct Configured {
    pub(super) config: Config,
    pub(super) alarm_files: Vec<PathBuf>,
    pub(super) findings: Vec<Finding>,
}

/// Reads the configuration alone.
pub(super) fn configured(config: Option<&Path>) -> Configured {
    let (name, folder, config, mut findings) = resolve(config);
    let mut alarm_files = Vec::new();
    for AlarmFiles { pattern, position } in config.alarms.iter().flatten() {
        for file in matching(pattern, &folder) {
            match file {
                Ok(file) => alarm_files.push(file),
                Err(message) => findings.push(Finding {
                    file: name.clone(),
                    position: *position,
                    message: format!("`alarms`: {message}"),
                }),
            }
        }
    }
    Configured {
        config,
        alarm_files,
        findings,
    }
}

/// The configuration with the name and the folder of its file.
fn resolve(config: Option<&Path>) -> (String, PathBuf, Config, Vec<Finding>) {
    let mut findings = Vec::new();
    let (name, text, folder) = match config
        .map_or_else(default_config, |path| Ok(Some(path.to_owned())))
        .and_then(|path| path.map(read).transpose())
    {
        Ok(Some((path, text))) => (
            path.display().to_string(),
            text,
            path.parent().map(Path::to_owned).unwrap_or_default(),
        ),
        Ok(None) => (String::new(), String::new(), PathBuf::new()),
        Err(message) => {
            findings.push(Finding {
                file: "--config".to_owned(),
                position: Position::default(),
                message,
            });
            (String::new(), String::new(), PathBuf::new())
        }
    };
    let (config, mut wrong) = config::resolve(&name, &text);
    findings.append(&mut wrong);
    (name, folder, config, findings)
}

pub(super) fn load(config: Option<&Path>) -> Loaded {
    let (name, folder, config, mut findings) = resolve(config);
    let parsed = config
        .alarms
        .as_ref()
        .map(|files| alarms(files, &folder, &name, &Inputs::default()));
    let parsed = parsed.map(|mut read| {
        findings.append(&mut read.unreadable);
        findings.extend(read.parsed.problems().cloned());
        findings.append(&mut duplicates(&read.parsed.alarms));
        read.parsed
    });
    let guard = config.web_config.as_deref();
    let guard = guard.map(|file| Guard::open(&folder.join(file)));
    let guard = guard.transpose().unwrap_or_else(|mut wrong| {
        findings.append(&mut wrong);
        None
    });
    let (alarms, mute_rules) = match parsed.map(Parsed::into_rules) {
        Some((alarms, mute_rules)) => (Some(alarms), mute_rules),
        None => (None, Vec::new()),
    };
    Loaded {
        config,
        alarms,
        mute_rules,
        guard,
        findings,
    }
}

/// The default configuration file, if there is one. One that may not be looked at is a mistake, not an absence.
fn default_config() -> Result<Option<PathBuf>, String> {
    let path = Path::new(DEFAULT_CONFIG);
    match path.try_exists() {
        Ok(true) => Ok(Some(path.to_owned())),
        Ok(false) => Ok(None),
        Err(error) => Err(format!("`{DEFAULT_CONFIG}` cannot be read: {error}")),
    }
}

/// What alarm files hold, and what is wrong with files that could not be read or parsed at all.
#[derive(Default)]
pub(super) struct Read {
    pub(super) parsed: Parsed,
    pub(super) unreadable: Vec<Finding>,
}

impl Read {
    pub(super) fn add(&mut self, file: &str, text: &str, inputs: &Inputs) {
        let mut parsed = parse_with(file, text, inputs);
        if !parsed.is_readable {
            self.unreadable.append(&mut parsed.findings);
        }
        self.parsed.append(parsed);
    }

    /// Parameters that were given and that no template here has.
    pub(super) fn undeclared(&self, inputs: &Inputs) -> Vec<String> {
        let declared = &self.parsed.parameters;
        let unknown = inputs
            .parameters
            .keys()
            .filter(|name| !declared.contains(*name));
        unknown
            .map(|name| {
                let hint = did_you_mean(name, declared.iter().map(String::as_str));
                format!("`--parameter {name}`: no template here has this parameter{hint}")
            })
            .collect()
    }
}

/// Everything that the alarm files hold which the file `of` names.
pub(super) fn alarms(files: &[AlarmFiles], folder: &Path, of: &str, inputs: &Inputs) -> Read {
    let mut all = Read::default();
    for AlarmFiles { pattern, position } in files {
        for file in matching(pattern, folder) {
            match file.and_then(read) {
                Ok((file, text)) => all.add(&file.display().to_string(), &text, inputs),
                Err(message) => all.unreadable.push(Finding {
                    file: of.to_owned(),
                    position: *position,
                    message: format!("`alarms`: {message}"),
                }),
            }
        }
    }
    all
}

/// `NAME=VALUE`
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not like `NAME=VALUE`")),
    }
}

/// The files that a name or pattern stands for. A plain name need not exist here; reading it says so.
fn matching(pattern: &str, folder: &Path) -> Vec<Result<PathBuf, String>> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![Ok(folder.join(pattern))];
    }
    let full = Path::new(&glob::Pattern::escape(&folder.display().to_string())).join(pattern);
    let files: Vec<Result<PathBuf, String>> = match glob::glob(&full.display().to_string()) {
        Ok(files) => files
            .map(|file| file.map_err(|error| error.to_string()))
            .collect(),
        Err(error) => vec![Err(format!(
            "the pattern `{pattern}` is malformed: {error}"
        ))],
    };
    if files.is_empty() {
        vec![Err(format!("no file matches `{pattern}`"))]
    } else {
        files
    }
}

pub(super) fn read(path: PathBuf) -> Result<(PathBuf, String), String> {
    let cannot = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let size = fs::metadata(&path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!(
            "`{}` has {size} bytes, but at most {FILE_BYTES_MAX} are read",
            path.display()
        ));
    }
    // What is no file has no size that could be asked for.
    let mut text = String::new();
    let file = fs::File::open(&path).map_err(cannot)?;
    let read = file
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    if u64::try_from(read).is_ok_and(|read| read > FILE_BYTES_MAX) {
        return Err(format!(
            "`{}` has more than {FILE_BYTES_MAX} bytes, which is the most that is read",
            path.display()
        ));
    }
    Ok((path, text))
}
