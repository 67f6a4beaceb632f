//! What tests need of the world: places, ports, processes.

#![expect(
    clippy::disallowed_methods,
    reason = "tests with real peers run in real time"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn data(name: &str) -> PathBuf {
    root().join("tests/data").join(name)
}

/// A state folder that nobody else uses.
fn state_folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("state-{}-{count}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What an earlier process with this number left.
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// The program, in an environment of its own: no region, no credentials, no instance metadata, an empty state folder.
pub(crate) fn cwbridge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cwbridge"));
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("STATE_DIRECTORY", state_folder())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

/// A folder that is removed with its content.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cwbridge-{name}-{}", std::process::id()));
        // What an earlier process with this number left.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A file that can be executed.
    pub(crate) fn write_program(&self, name: &str, text: &str) {
        let path = self.write(name, text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody has, and that no other test is given. It is below those that the system gives to whoever asks for any.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = usize::try_from(std::process::id()).unwrap() * 97;
    let mut ports = (0..PORTS).map(|_| NEXT.fetch_add(1, Ordering::Relaxed));
    let port = ports.find_map(|next| {
        let port = u16::try_from(PORT_MIN + (first + next) % PORTS).unwrap();
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    port.unwrap()
}

const PORT_MIN: usize = 20_000;
const PORTS: usize = 12_000;

/// A child process that is killed in the end, with the lines it wrote so far.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = read_lines(child.stdout.take().unwrap(), Arc::clone(&lines));
        let err = read_lines(child.stderr.take().unwrap(), Arc::clone(&lines));
        Self {
            child,
            lines,
            readers: vec![out, err],
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn log(&self) -> String {
        self.lines().join("\n")
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.contains(text))
            .count()
    }

    pub(crate) fn wait_for_line(&self, text: &str, limit: Duration) {
        wait(limit, &format!("`{text}` in the log"), || {
            (self.count(text) > 0).then_some(())
        });
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Sends a signal and waits for the end. Returns the exit code and how long it took.
    pub(crate) fn stop(&mut self, signal: &str) -> (Option<i32>, Duration) {
        let start = Instant::now();
        self.signal(signal);
        let status = wait(Duration::from_secs(20), "the process to end", || {
            self.child.try_wait().unwrap()
        });
        let took = start.elapsed();
        self.read_to_the_end();
        (status.code(), took)
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.read_to_the_end();
    }

    /// Waits for the last lines of a process that has ended.
    fn read_to_the_end(&self) {
        wait(Duration::from_secs(20), "the last lines", || {
            let mut readers = self.readers.iter();
            readers.all(JoinHandle::is_finished).then_some(())
        });
    }
}

fn read_lines(
    stream: impl std::io::Read + Send + 'static,
    lines: Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn wait<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        pause(Duration::from_millis(100));
    }
}

pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The body of a page, if the server answers with success.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ')
        .nth(1)?
        .starts_with('2')
        .then(|| body.to_owned())
}

/// The value of the first series on a page of metrics that begins with `series`.
pub(crate) fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics
        .lines()
        .find(|line| line.starts_with(series))?
        .rsplit(' ')
        .next()?
        .parse()
        .ok()
}

/// Says that a test did not run for want of `what`; fails where everything has to be there.
pub(crate) fn skip(what: &str) {
    let required = std::env::var_os("CWBRIDGE_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "{what} is required here and not installed");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} is not installed");
}

/// Says that a test did not run, because not everybody may do `what`.
pub(crate) fn skip_without_right(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: this user may not {what}");
}
