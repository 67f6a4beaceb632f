//! The policies in `deploy/iam` allow what the program calls, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex_lite::Regex;
use serde_json::Value;

use crate::world::root;

fn read(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => read(&path, text),
            false => *text += &fs::read_to_string(path).unwrap(),
        }
    }
}

/// `cloudwatch:PutMetricData` for `.put_metric_data()`.
fn called() -> BTreeSet<String> {
    let mut text = fs::read_to_string(root().join("src/aws.rs")).unwrap();
    read(&root().join("src/aws"), &mut text);
    let call = Regex::new(r"client\s*\.((?:[a-z]+_)+[a-z]+)\(\)").unwrap();
    let newest = Regex::new(r"newest\s*\.((?:[a-z]+_)+[a-z]+)\(\)").unwrap();
    let calls = call.captures_iter(&text).chain(newest.captures_iter(&text));
    let action = |service: &str, name: &str| {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        let words: Vec<String> = name.split('_').map(word).collect();
        format!("{service}:{}", words.concat())
    };
    let mut called: BTreeSet<String> = calls.map(|call| action("cloudwatch", &call[1])).collect();
    let logs = Regex::new(r"self\.0\s*\.((?:[a-z]+_)+[a-z]+)\(\)").unwrap();
    let text_of_logs = fs::read_to_string(root().join("src/aws/logs.rs")).unwrap();
    let calls = logs.captures_iter(&text_of_logs);
    called.extend(calls.map(|call| action("logs", &call[1])));
    if text_of_logs.contains(".set_tags(") {
        called.insert("logs:TagResource".to_owned());
    }
    if text.contains("Action=DescribeTags") {
        called.insert("ec2:DescribeTags".to_owned());
    }
    let signed = [
        ("(\"Action\".to_owned(), \"Publish\")", "sns:Publish"),
        ("/invocations", "lambda:InvokeFunction"),
        ("AWSEvents.PutEvents", "events:PutEvents"),
    ];
    let signed = signed.into_iter().filter(|(call, _)| text.contains(call));
    called.extend(signed.map(|(_, action)| action.to_owned()));
    // To create something with tags is to tag it.
    if text.contains(".set_tags(") {
        called.insert("cloudwatch:TagResource".to_owned());
    }
    called
}

fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let mut tiers = BTreeMap::new();
    for entry in fs::read_dir(root().join("deploy/iam")).unwrap() {
        let path = entry.unwrap().path();
        let policy: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let mut actions = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            match &statement["Action"] {
                Value::String(action) => drop(actions.insert(action.clone())),
                Value::Array(all) => {
                    actions.extend(all.iter().map(|action| action.as_str().unwrap().to_owned()));
                }
                other => panic!("{other}"),
            }
        }
        let tier = path.file_stem().unwrap().to_str().unwrap().to_owned();
        tiers.insert(tier, actions);
    }
    tiers
}

#[test]
fn the_policies_allow_what_is_called_and_nothing_else() {
    let allowed: BTreeSet<String> = allowed().into_values().flatten().collect();
    assert_eq!(allowed, called());
}

/// A host that publishes can do nothing else, and that in one namespace.
#[test]
fn a_host_may_publish_in_one_namespace() {
    let tiers = allowed();
    let publish: Vec<&String> = tiers["publish"].iter().collect();
    assert_eq!(publish, ["cloudwatch:PutMetricData"]);
    let text = fs::read_to_string(root().join("deploy/iam/publish.json")).unwrap();
    let policy: Value = serde_json::from_str(&text).unwrap();
    let condition = &policy["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(condition["cloudwatch:namespace"], "CWBridge");
    for tier in ["publish", "mirror", "replay"] {
        let changes = tiers[tier].iter().filter(|action| {
            let reads = ["Describe", "Get", "List"];
            !reads
                .iter()
                .any(|verb| action.contains(&format!(":{verb}")))
        });
        assert!(changes.count() <= 1, "{tier}");
    }
}
