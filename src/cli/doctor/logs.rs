//! Whether what is to go to CloudWatch Logs can be read here and written there: tried without an event.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;

use crate::aws::{Failure, Logs, NotPut};
use crate::config::{self, LogTarget};
use crate::definition::Placeholders;
use crate::logs::{group_and_stream, matching};

use super::Findings;

/// What needs no AWS.
pub(super) fn local(logs: &config::Logs, findings: &mut Findings<'_, impl Write>) {
    for files in &logs.files {
        let what = format!("log files `{}`", files.paths.join("`, `"));
        let (found, unreadable) = matching(files);
        let problem = |path: &std::path::PathBuf| {
            let error = File::open(path).err()?;
            Some(format!("`{}`: {error}", path.display()))
        };
        let folders = unreadable.into_iter();
        let mut problems = folders.chain(found.iter().filter_map(problem));
        if let Some(first) = &problems.next() {
            let fix = "let the service read them, as with `SupplementaryGroups=adm`";
            findings.failure(&what, first, fix);
        } else if found.is_empty() {
            findings.warning(&what, "there is none yet", "nothing is sent until there is");
        } else {
            findings.ok(&what, &format!("{} can be read", found.len()));
        }
    }
}

/// What AWS has to allow.
pub(super) async fn by_aws(
    config: &config::Logs,
    here: &Placeholders,
    logs: &Logs,
    findings: &mut Findings<'_, impl Write>,
) {
    let mut asked = BTreeSet::new();
    for target in config.targets() {
        let Some((group, stream)) = names(target, here, findings) else {
            continue;
        };
        if asked.insert(group.clone()) {
            let put = logs.put(&group, &stream, Vec::new()).await;
            tell(&group, put.map(drop), findings);
        }
    }
}

/// Those of a target that stands for one file are known with the file.
fn names(
    target: &LogTarget,
    here: &Placeholders,
    findings: &mut Findings<'_, impl Write>,
) -> Option<(String, String)> {
    let any = |template: &str| {
        template
            .replace("${file}", "file")
            .replace("${path}", "path")
    };
    let any = LogTarget {
        group: any(&target.group),
        stream: any(&target.stream),
        ..target.clone()
    };
    match group_and_stream(&any, here) {
        Ok(names) => Some(names),
        Err(problem) => {
            let what = format!("log group `{}`", target.group);
            findings.failure(&what, &problem, "nothing is written there");
            None
        }
    }
}

fn tell(group: &str, put: Result<(), NotPut>, findings: &mut Findings<'_, impl Write>) {
    let what = format!("logs:PutLogEvents to `{group}`");
    match put {
        // What it takes without an event, or refuses because there is none, it would take with one.
        Ok(()) | Err(NotPut::Failure(Failure::Rejected(_))) => {
            findings.ok(&what, "allowed (tried without an event)");
        }
        Err(NotPut::Missing) => findings.ok(
            &what,
            "allowed (tried without an event); the group or the stream is not there yet, and whether they may be created is not tried",
        ),
        Err(NotPut::Failure(Failure::Denied(message))) => findings.failure(
            &what,
            &format!("refused (tried without an event): {message}"),
            "`deploy/iam/logs.json` is the policy that allows it",
        ),
        Err(NotPut::Failure(failure)) => {
            let message = format!("{} (tried without an event)", failure.message());
            findings.failure(&what, &message, "see the lines above");
        }
    }
}
