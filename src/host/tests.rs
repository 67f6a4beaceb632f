//! The collectors on a tree of files, whole and broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use regex_lite::Regex;

use super::collectors::{PARTS, fixed_filesystems};
use super::gather::Enabled;
use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/host")
}

fn roots(folder: &Path) -> Roots {
    Roots {
        procfs: folder.join("proc"),
        sysfs: folder.join("sys"),
        rootfs: folder.join("root"),
    }
}

/// What a collector yielded, and why it failed if it did.
type Outcome = (&'static str, Option<String>, Gathered);

/// What all collectors yield that say the same on every host.
fn gathered(roots: &Roots) -> Vec<Outcome> {
    let parts = PARTS.iter().filter(|part| part.name != "uname");
    parts.map(|part| gathered_by(part, roots)).collect()
}

fn gathered_by(part: &collectors::Part, roots: &Roots) -> Outcome {
    let mut collect = match part.name {
        "filesystem" => fixed_filesystems(),
        _ => (part.new)(),
    };
    let mut gathered = Gathered::default();
    let error = collect.collect(roots, &mut gathered).err();
    (part.name, error.map(|error| format!("{error:#}")), gathered)
}

fn written(gathered: &Gathered) -> String {
    let mut text = String::new();
    let label = |(name, value): &(std::borrow::Cow<'_, str>, String)| format!("{name}={value:?}");
    for family in &gathered.families {
        for row in &family.rows {
            let labels: Vec<String> = row.labels.iter().map(label).collect();
            let line = format!(
                "{:?} {} {{{}}} {}\n",
                family.kind,
                family.name,
                labels.join(","),
                row.value
            );
            text.push_str(&line);
        }
    }
    for value in &gathered.values {
        let labels: Vec<String> = value.labels.iter().map(label).collect();
        let line = format!(
            "CloudWatch {} {{{}}} {} {}\n",
            value.name,
            labels.join(","),
            value.value,
            value.unit
        );
        text.push_str(&line);
    }
    text
}

#[test]
fn every_collector_reads_its_part_of_the_tree() {
    let mut text = String::new();
    for (name, error, gathered) in gathered(&roots(&fixtures())) {
        assert_eq!(error, None, "{name}");
        text.extend(["# ", name, "\n", &written(&gathered)]);
    }
    expect_file!["../../tests/data/host/gathered.txt"].assert_eq(&text);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, all),
            false => all.push(path),
        }
    }
}

/// A file that is missing, cut anywhere, or of another shape spoils nothing but what is in it.
#[test]
fn a_broken_file_is_one_collectors_failure() {
    let folder = std::env::temp_dir().join(format!("cwbridge-host-{}", std::process::id()));
    copy(&fixtures(), &folder);
    let mounts = folder.join("proc/1/mountinfo");
    let text = String::from_utf8_lossy(&fs::read(&mounts).unwrap()).into_owned();
    // To wait for it is another test's.
    fs::write(&mounts, text.replace("/mnt/hung", "/mnt/well")).unwrap();
    let mut all = Vec::new();
    files(&folder, &mut all);
    let whole = roots(&folder);
    for file in all {
        let text = fs::read(&file).unwrap();
        let middle = text.len() / 2;
        let broken: [Option<&[u8]>; 6] = [
            None,
            Some(b""),
            Some(&text[..middle]),
            Some(b"\xff\xfe\x00 -1 -1 -1 : : =\n"),
            Some(b"99999999999999999999999999 99999999999999999999999999\n"),
            Some(b"a: b c d e f g h i j k l m n o p q r s t u v w x y z\n1 2 3\n"),
        ];
        for bytes in broken {
            match bytes {
                Some(bytes) => fs::write(&file, bytes).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            let outcomes = gathered(&whole);
            let failed = outcomes.iter().filter(|(_, error, _)| error.is_some());
            assert!(failed.count() <= 1, "{}: {outcomes:?}", file.display());
        }
        fs::write(&file, text).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// How many ends a file is cut off at.
const CUTS_MAX: usize = 300;

/// Cut off at any byte, a file makes no collector that reads it panic.
#[test]
fn a_file_may_end_anywhere() {
    let folder = std::env::temp_dir().join(format!("cwbridge-cut-{}", std::process::id()));
    copy(&fixtures(), &folder);
    let mounts = folder.join("proc/1/mountinfo");
    let text = fs::read(&mounts).unwrap();
    let well = String::from_utf8_lossy(&text).replace("/mnt/hung", "/mnt/well");
    fs::write(&mounts, well).unwrap();
    let whole = roots(&folder);
    let mut all = Vec::new();
    files(&folder, &mut all);
    for file in all {
        let text = fs::read(&file).unwrap();
        let before: Vec<String> = gathered(&whole).iter().map(|it| written(&it.2)).collect();
        fs::remove_file(&file).unwrap();
        let readers = gathered(&whole);
        let readers = readers.iter().zip(&before);
        let readers = readers.filter(|((_, _, without), with)| written(without) != **with);
        let readers: Vec<&str> = readers.map(|((name, ..), _)| *name).collect();
        let step = text.len() / CUTS_MAX + 1;
        for end in (0..text.len()).step_by(step) {
            fs::write(&file, &text[..end]).unwrap();
            for part in PARTS.iter().filter(|part| readers.contains(&part.name)) {
                gathered_by(part, &whole);
            }
        }
        fs::write(&file, text).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// What counters rose by is published; one that fell says nothing, and neither does what is new or gone.
#[test]
fn counters_are_published_by_what_they_rose() {
    let folder = std::env::temp_dir().join(format!("cwbridge-delta-{}", std::process::id()));
    fs::create_dir_all(folder.join("proc/1/net")).unwrap();
    let whole = roots(&folder);
    let disk = |name: &str, reads: u64, busy: u64| {
        format!("8 0 {name} {reads} 0 {} 7 0 0 0 0 0 {busy} 9\n", reads * 8)
    };
    let looks = [
        disk("sda", 10, 500) + &disk("sdb", 10, 500),
        disk("sda", 14, 400) + &disk("sdc", 10, 500),
        disk("sda", 15, 430) + &disk("sdb", 12, 500) + &disk("sdc", 10, 500),
    ];
    let part = PARTS.iter().find(|part| part.name == "diskstats").unwrap();
    let mut disks = (part.new)();
    let mut told = String::new();
    for look in looks {
        fs::write(folder.join("proc/diskstats"), look).unwrap();
        let mut gathered = Gathered::default();
        disks.collect(&whole, &mut gathered).unwrap();
        let names = ["diskio_reads", "diskio_read_bytes", "diskio_io_time"];
        for value in gathered.values.iter().filter(|of| names.contains(&of.name)) {
            let line = format!("{} {} {}\n", value.name, value.labels[0].1, value.value);
            told.push_str(&line);
        }
        told.push_str("--\n");
    }
    let expected = "--\n\
        diskio_reads sda 4\ndiskio_read_bytes sda 16384\n--\n\
        diskio_reads sda 1\ndiskio_reads sdc 0\ndiskio_read_bytes sda 4096\ndiskio_read_bytes sdc 0\n\
        diskio_io_time sda 30\ndiskio_io_time sdc 0\n--\n";
    assert_eq!(told, expected);
    fs::remove_dir_all(&folder).unwrap();
}

fn enabled(name: &'static str) -> Enabled {
    Enabled {
        name,
        interval: Duration::from_secs(10),
        filters: Arc::default(),
        directory: None,
        groups: Vec::new(),
    }
}

#[test]
fn each_collector_is_asked_at_its_interval() {
    let plan = Plan {
        roots: roots(&fixtures()),
        collectors: vec![enabled("loadavg"), enabled("meminfo")],
    };
    let mut host = Host::new(Parts {
        cpu: true,
        gather: plan.clone(),
    });
    let first = host.look(Timestamp::from_seconds(100));
    // The first look waits for them, but not for long.
    let mut came = first.new.len();
    for _ in 0..1_000 {
        if came < 2 {
            std::thread::park_timeout(Duration::from_millis(10));
            came += host.look(Timestamp::from_seconds(101)).new.len();
        }
    }
    assert_eq!(came, 2);
    assert_eq!(first.cpu.unwrap().interrupts, 8_885_917);
    // What is as it was goes on.
    host.set_parts(Parts {
        cpu: true,
        gather: plan,
    });
    let soon = host.look(Timestamp::from_seconds(109));
    assert_eq!((soon.new.len(), soon.collected.len()), (0, 2));
    host.look(Timestamp::from_seconds(110));
    let again = (0..1_000).find_map(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        let look = host.look(Timestamp::from_seconds(111));
        (!look.new.is_empty()).then_some(look)
    });
    assert!(again.is_some(), "they come back");
}

/// A pipe to which nobody writes holds up whoever opens it, as a file system does whose server is gone.
#[test]
fn collectors_that_hang_hold_up_no_others_and_are_told() {
    let folder = std::env::temp_dir().join(format!("cwbridge-hang-{}", std::process::id()));
    copy(&fixtures(), &folder);
    for file in ["proc/loadavg", "proc/sys/fs/file-nr"] {
        let file = folder.join(file);
        fs::remove_file(&file).unwrap();
        let made = std::process::Command::new("mkfifo").arg(file).status();
        assert!(made.unwrap().success());
    }
    let collectors = ["loadavg", "filefd", "meminfo"].map(enabled).to_vec();
    let mut host = Host::new(Parts {
        cpu: false,
        gather: Plan {
            roots: roots(&folder),
            collectors,
        },
    });
    let told = (0..500).find_map(|_| {
        std::thread::park_timeout(Duration::from_millis(20));
        let look = host.look(Timestamp::from_seconds(100));
        let told = look.collected.iter();
        let told: Vec<(&str, bool)> = told.map(|of| (of.collector, of.error.is_none())).collect();
        (told.len() == 3).then_some(told)
    });
    let expected = vec![("loadavg", false), ("filefd", false), ("meminfo", true)];
    assert_eq!(told, Some(expected));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn labels_are_included_and_excluded() {
    let pattern = |pattern: &str| vec![("device".to_owned(), Regex::new(pattern).unwrap())];
    let shown = |filters: Filters| {
        let mut gathered = Gathered::new(Arc::new(filters));
        let disks = PARTS.iter().find(|part| part.name == "diskstats").unwrap();
        let mut disks = (disks.new)();
        disks.collect(&roots(&fixtures()), &mut gathered).unwrap();
        let rows = gathered.families[0].rows.iter();
        let devices: Vec<String> = rows.map(|row| row.labels[0].1.clone()).collect();
        let values = gathered.values.iter().filter(|value| !value.is_minor);
        let named = values.map(|value| value.labels[0].1.clone());
        assert!(named.into_iter().all(|name| devices.contains(&name)));
        devices.join(" ")
    };
    assert_eq!(shown(Filters::default()), "nvme0n1 xvda");
    let include = pattern("^nvme");
    let exclude = pattern("^nvme");
    assert_eq!(
        shown(Filters {
            include,
            ..Filters::default()
        }),
        "nvme0n1"
    );
    assert_eq!(
        shown(Filters {
            exclude,
            ..Filters::default()
        }),
        "xvda"
    );
}

#[test]
fn too_many_rows_are_cut_and_counted() {
    let mut gathered = Gathered::default();
    let row = |number: u32| crate::family::row([("n", number.to_string())], 1.0);
    let gauge = crate::family::Kind::Gauge;
    gathered.push(gauge, "a", "", (0..7).map(row).collect());
    gathered.push(gauge, "b", "", (0..7).map(row).collect());
    assert_eq!(gathered.cut(10), 4);
    let rows: Vec<usize> = gathered
        .families
        .iter()
        .map(|family| family.rows.len())
        .collect();
    assert_eq!(rows, [7, 3]);
}

#[test]
fn the_first_look_has_no_utilization_and_the_next_one_has() {
    let mut host = Host::new(Parts {
        cpu: true,
        ..Parts::default()
    });
    let first = host.look(Timestamp::from_seconds(0));
    assert_eq!(first.cpu.as_ref().unwrap().utilization, None);
    let busy = |cpu: &Cpu| cpu.seconds.0.iter().sum::<f64>();
    let start = busy(first.cpu.as_ref().unwrap());
    let second = (0..1_000_000).find_map(|_| {
        let cpu = host.look(Timestamp::from_seconds(1)).cpu.unwrap();
        cpu.utilization.map(|utilization| (cpu, utilization))
    });
    let (cpu, utilization) = second.expect("a clock tick passes within a million looks");
    assert!(busy(&cpu) > start);
    assert!((0.0..=100.0).contains(&utilization));
}

#[test]
fn parts_that_are_switched_off_are_not_looked_at() {
    let look = Host::new(Parts::default()).look(Timestamp::from_seconds(0));
    assert_eq!((look.cpu, look.collected.len()), (None, 0));
}

/// What the collectors yield for CloudWatch is what the configuration lets people publish.
#[test]
fn what_can_be_published_is_what_is_seen() {
    let mut seen = std::collections::BTreeSet::new();
    for part in PARTS {
        let mut collect = match part.name {
            "filesystem" => fixed_filesystems(),
            _ => (part.new)(),
        };
        let mut gathered = Gathered::default();
        for _ in 0..2 {
            collect.collect(&roots(&fixtures()), &mut gathered).unwrap();
        }
        for value in gathered.values {
            let mut labels: Vec<String> = value
                .labels
                .iter()
                .map(|(name, _)| name.to_string())
                .collect();
            labels.sort();
            seen.insert((value.name, part.name, labels));
        }
    }
    // What the CPU and groups of processes yield is seen in their own tests.
    let elsewhere = ["cpu", "procstat"];
    let known = crate::config::publishables();
    let known = known.filter(|known| !elsewhere.contains(&known.collector));
    let known = known.map(|known| {
        let mut labels: Vec<String> = known.labels.iter().map(ToString::to_string).collect();
        labels.sort();
        (known.name, known.collector, labels)
    });
    assert_eq!(seen, known.collect());
}
