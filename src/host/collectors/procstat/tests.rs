//! Groups of processes, on trees in which they come and go.

use super::*;
use std::fmt::Write as _;

/// A tree in which processes come and go.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cwbridge-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn process(&self, pid: i32, comm: &str, ticks: u64, started: u64) {
        let folder = self.0.join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        for number in 0..3 {
            fs::write(folder.join("fd").join(number.to_string()), "").unwrap();
        }
        let stat = format!(
            "{pid} ({comm}) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 5 0 0 20 0 2 0 {started} 1000000 10 0 {}",
            "0 ".repeat(40)
        );
        fs::write(folder.join("stat"), stat).unwrap();
        let status = include_str!("../../../../tests/data/host/proc/100/status");
        fs::write(folder.join("status"), status).unwrap();
        fs::write(
            folder.join("cmdline"),
            format!("/usr/sbin/{comm}-whole\0-c\0/etc/{comm}.conf\0"),
        )
        .unwrap();
        fs::write(
            folder.join("cgroup"),
            format!("0::/system.slice/{comm}.service/worker\n"),
        )
        .unwrap();
    }

    fn gone(&self, pid: i32) {
        fs::remove_dir_all(self.0.join(pid.to_string())).unwrap();
    }

    fn roots(&self) -> Roots {
        Roots {
            procfs: self.0.clone(),
            ..Roots::default()
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(procstat: &mut Procstat, roots: &Roots) -> (Gathered, String) {
    let mut gathered = Gathered::default();
    procstat.collect(roots, &mut gathered).unwrap();
    let mut told = String::new();
    for family in &gathered.families {
        for row in &family.rows {
            let labels: Vec<&str> = row.labels.iter().map(|(_, value)| value.as_str()).collect();
            let name = family.name.trim_start_matches("namedprocess_namegroup_");
            let labels = labels.join(" ");
            writeln!(told, "{name} {labels} {}", row.value).unwrap();
        }
    }
    (gathered, told)
}

#[test]
fn a_group_is_found_in_each_way() {
    let tree = Tree::new("procstat-ways");
    for (pid, comm) in [
        (10, "nginx"),
        (11, "nginx"),
        (12, "a-name-of-fifte"),
        (13, "redis"),
    ] {
        tree.process(pid, comm, 100, 7);
    }
    fs::write(tree.0.join("redis.pid"), "13\n").unwrap();
    let pattern = |pattern: &str| Regex::new(pattern).unwrap();
    for (by, expected) in [
        (By::Exe(pattern("^nginx$")), vec![10, 11]),
        (By::Exe(pattern("^a-name-of-fifte-whole$")), vec![12]),
        (By::Exe(pattern("whole")), vec![12]),
        (By::Pattern(pattern("-c /etc/redis")), vec![13]),
        (By::Pidfile(tree.0.join("redis.pid")), vec![13]),
        (By::Pidfile(tree.0.join("nothing.pid")), vec![]),
        (By::Unit("nginx.service".to_owned()), vec![10, 11]),
        (By::Unit("nginx".to_owned()), vec![]),
    ] {
        let roots = tree.roots();
        let found = find(&by, &processes(&roots).unwrap(), &roots);
        let found: Vec<i32> = found.iter().map(|((pid, _), _)| *pid).collect();
        assert_eq!(found, expected, "{by:?}");
    }
}

#[test]
fn a_group_is_counted_through_comings_and_goings() {
    let tree = Tree::new("procstat-counts");
    tree.process(10, "web", 1_000, 7);
    tree.process(11, "web", 100, 8);
    let group = Group {
        name: "web".to_owned(),
        by: By::Exe(Regex::new("^web$").unwrap()),
    };
    let mut procstat = Procstat::new(vec![group]);
    fs::write(tree.0.join("uptime"), "5.00 1.00\n").unwrap();
    expect_test::expect![[r#"
        num_procs web 2
        num_threads web 4
        cpu_seconds web user 0
        cpu_seconds web system 0
        memory_bytes web resident 81920
        memory_bytes web virtual 2000000
        memory_bytes web swapped 32768
        open_filedesc web 6
        cwbridge_process_group_restarts web 0
    "#]]
    .assert_eq(&told(&mut procstat, &tree.roots()).1);
    // One spends two seconds, one ends, and one that began since has spent one.
    tree.process(10, "web", 1_200, 7);
    tree.gone(11);
    tree.process(12, "web", 95, 900);
    let (gathered, text) = told(&mut procstat, &tree.roots());
    expect_test::expect![[r#"
        num_procs web 2
        num_threads web 4
        cpu_seconds web user 2.95
        cpu_seconds web system 0.05
        memory_bytes web resident 81920
        memory_bytes web virtual 2000000
        memory_bytes web swapped 32768
        open_filedesc web 6
        cwbridge_process_group_restarts web 0
    "#]]
    .assert_eq(&text);
    let usage = gathered
        .values
        .iter()
        .filter(|of| of.name == "procstat_cpu_usage");
    assert_eq!(usage.count(), 1, "of one that is new nothing is known");
    let resident = gathered
        .values
        .iter()
        .find(|of| of.name == "procstat_memory_rss");
    let expected = Some(("Bytes", 2));
    assert_eq!(resident.map(|of| (of.unit, of.labels.len())), expected);
    // One that was there before comes into the group: what it spent until then is not the group's.
    tree.process(13, "web", 100_000, 400);
    told(&mut procstat, &tree.roots());
    tree.gone(13);
    // All are replaced, after a look in which there was none.
    tree.gone(10);
    tree.gone(12);
    told(&mut procstat, &tree.roots());
    tree.process(10, "web", 0, 5_000);
    let (_, text) = told(&mut procstat, &tree.roots());
    assert!(
        text.contains("cwbridge_process_group_restarts web 1\n"),
        "{text}"
    );
    assert!(text.contains("cpu_seconds web user 2.95\n"), "{text}");
}

/// This very process, while it works.
#[test]
fn a_process_that_works_is_seen_to() {
    let own = fs::read_to_string("/proc/self/stat").unwrap();
    let pid = own.split(' ').next().unwrap().to_owned();
    let file = std::env::temp_dir().join(format!("cwbridge-own-{pid}.pid"));
    fs::write(&file, &pid).unwrap();
    let group = Group {
        name: "own".to_owned(),
        by: By::Pidfile(file.clone()),
    };
    let mut procstat = Procstat::new(vec![group]);
    let roots = Roots::default();
    told(&mut procstat, &roots);
    let usage = (0..200).find_map(|_| {
        let until = clock::instant() + std::time::Duration::from_millis(30);
        while clock::instant() < until {}
        let (gathered, _) = told(&mut procstat, &roots);
        let usage = gathered
            .values
            .iter()
            .find(|of| of.name == "procstat_cpu_usage");
        usage.map(|of| of.value).filter(|value| *value > 0.0)
    });
    assert!(usage.is_some());
    fs::remove_file(file).unwrap();
}
