//! Plans as the `terraform` program that is here writes them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::world::{Folder, cwbridge, data};

/// Runs `terraform`, which finds its provider in the folder that `TERRAFORM_PLUGINS` names.
fn terraform(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("terraform")
        .args(arguments)
        .current_dir(folder)
        .env("TF_IN_AUTOMATION", "1")
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_CLI_CONFIG_FILE")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    output.stdout
}

#[test]
fn a_plan_of_today_is_read_like_the_recorded_one() {
    // No package has it, so that it is never required.
    let Some(plugins) = std::env::var_os("TERRAFORM_PLUGINS") else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: terraform with its AWS provider is not installed"
        );
        return;
    };
    let folder = Folder::new("terraform");
    fs::create_dir(folder.path().join("module")).unwrap();
    for file in ["main.tf", "module/main.tf"] {
        fs::copy(data("terraform").join(file), folder.path().join(file)).unwrap();
    }
    let plugins = format!("-plugin-dir={}", plugins.display());
    terraform(folder.path(), &["init", "-input=false", &plugins]);
    terraform(
        folder.path(),
        &["plan", "-input=false", "-refresh=false", "-out=plan"],
    );
    let plan = terraform(folder.path(), &["show", "-json", "plan"]);
    fs::write(folder.path().join("plan.json"), plan).unwrap();

    let output = cwbridge()
        .args(["check", "--format", "json", "plan.json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = checked["findings"].as_array().unwrap().iter();
    let told: BTreeSet<String> = findings
        .map(|found| format!("{} {}", found["alarm"], found["rule"]).replace('"', ""))
        .collect();
    let told: Vec<String> = told.into_iter().collect();
    expect_test::expect![[r#"
        all paged-twice
        all silent-child-counts-as-fine
        cpu-high period-below-native
        cpu-high silence-unnoticed
        error-rate-0 division-unguarded
        error-rate-0 unit-never-published
        error-rate-1 defined-twice
        error-rate-1 division-unguarded
        error-rate-1 unit-never-published"#]]
    .assert_eq(&told.join("\n"));
    expect_test::expect![[
        r#"["${aws_instance.web.id}","${aws_sns_topic.pages.arn}","${module.m.var.topic}"]"#
    ]]
    .assert_eq(&checked["placeholders"].to_string());
    assert_eq!(checked["alarms"], 4);
}
