//! Commands with their files and their output, as people see them.
//!
//! Each file in `tests/data/golden` is a script: lines that begin with `$ ` are commands, what follows each is its output and,
//! last, `exit` with the code if that is not 0; then come the files, each after a line `-- name --`. With `UPDATE_EXPECT=1` the
//! outputs are written anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::world::{Folder, cwbridge, data};

/// A script as it was written.
struct Script {
    /// What stands before the first command.
    comment: String,
    commands: Vec<String>,
    files: Vec<(String, String)>,
}

fn read(text: &str) -> Script {
    let mut script = Script {
        comment: String::new(),
        commands: Vec::new(),
        files: Vec::new(),
    };
    for line in text.lines() {
        let name = line
            .strip_prefix("-- ")
            .and_then(|rest| rest.strip_suffix(" --"));
        if let Some(name) = name {
            script.files.push((name.to_owned(), String::new()));
        } else if let Some((_, content)) = script.files.last_mut() {
            content.push_str(line);
            content.push('\n');
        } else if let Some(command) = line.strip_prefix("$ ") {
            script.commands.push(command.to_owned());
        } else if script.commands.is_empty() {
            script.comment.push_str(line);
            script.comment.push('\n');
        }
    }
    script
}

/// The script with the output that its commands have now.
fn played(script: &Script, folder: &Path) -> String {
    let mut text = script.comment.clone();
    for command in &script.commands {
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("cwbridge"), "{command}");
        let output = cwbridge().args(words).current_dir(folder).output().unwrap();
        let _ = writeln!(text, "$ {command}");
        text.push_str(&String::from_utf8(output.stdout).unwrap());
        text.push_str(&String::from_utf8(output.stderr).unwrap());
        if output.status.code() != Some(0) {
            let _ = writeln!(text, "exit {}", output.status.code().unwrap());
        }
        text.push('\n');
    }
    for (name, content) in &script.files {
        let _ = write!(text, "-- {name} --\n{content}");
    }
    text
}

#[test]
fn commands_say_what_is_written() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut scripts: Vec<_> = fs::read_dir(data("golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut wrong = Vec::new();
    for path in scripts {
        let written = fs::read_to_string(&path).unwrap();
        let script = read(&written);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let folder = Folder::new(&format!("golden-{name}"));
        for (file, content) in &script.files {
            let place = folder.path().join(file);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, content).unwrap();
        }
        let now = played(&script, folder.path());
        if now == written {
            continue;
        }
        match update {
            true => fs::write(&path, now).unwrap(),
            false => wrong.push(format!("{}:\n{now}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
