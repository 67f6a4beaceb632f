//! What a web config says, who is let in, and what happens when it changes.

use super::tls::Clients;
use super::*;
use expect_test::expect;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

/// A folder of its own with a web config.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, text: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("cwbridge-guard-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = Self(folder);
        folder.write(text);
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("web.yml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// Every mistake, without the folder.
    fn mistakes(&self) -> String {
        let findings = Guard::open(&self.file()).map_or_else(|findings| findings, |_| Vec::new());
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        told.replace(&format!("{}/", self.0.display()), "")
            .replace(TLS, "tls")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn hash(password: &str) -> String {
    let hashed = bcrypt::hash_with_salt(password, 4, *b"a grain of salt.");
    hashed.unwrap().format_for_version(bcrypt::Version::TwoY)
}

fn authorization(name: &str, password: &str) -> HeaderMap {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    let value = HeaderValue::from_str(&format!("Basic {pair}")).unwrap();
    HeaderMap::from_iter([(header::AUTHORIZATION, value)])
}

#[test]
fn every_mistake_is_told_at_once() {
    let folder = Folder::with(
        "mistakes",
        "tls_server_config:
  cert_file: nowhere.pem
  client_auth_type: VerifyClientCertIfGiven
  client_allowed_sans: [a@example.org]
  min_version: TLS13
  max_version: TLS12
  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]
  curve_preferences: [CurveP512]
http_server_config:
  http2: perhaps
  headers:
    X-Frame-Options: allow
    Content-Security-Policy: \"a\\nb\"
    Server: nginx
basic_auth_users:
  alice: correct horse
  b:ob: $2y$04$WQBe7CPkW3zD1Gw8UQmrYuJ8v7Tn8LrVZ2q5Xv9ZqYwGmKqQp5KDO
rate_limit:
  interval: 1 fortnight
  burst: -1
user: a
",
    );
    expect![[r#"
        web.yml:2:3: `tls_server_config` has neither `key` nor `key_file`
        web.yml:2:3: `min_version` is `TLS13`, but `max_version` is `TLS12`
        web.yml:2:14: `cert_file`: `nowhere.pem` cannot be read: No such file or directory (os error 2)
        web.yml:3:21: to verify certificates of clients `client_ca_file` is needed
        web.yml:4:24: `client_allowed_sans` needs a `client_auth_type` of `RequireAnyClientCert` or `RequireAndVerifyClientCert`
        web.yml:4:24: `client_allowed_sans` has `a@example.org`, but only names of hosts, IP addresses and URIs are looked for
        web.yml:7:19: `cipher_suites` is `TLS_RSA_WITH_RC4_128_SHA`, but must be `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`, `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`, `TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256`, `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`, `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`, `TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256`, `TLS_AES_128_GCM_SHA256`, `TLS_AES_256_GCM_SHA384` or `TLS_CHACHA20_POLY1305_SHA256`
        web.yml:8:23: `curve_preferences` is `CurveP512`, but must be `CurveP256`, `CurveP384`, `X25519` or `X25519MLKEM768`
        web.yml:10:10: `http2` is the string "perhaps", but must be `true` or `false`
        web.yml:12:22: `X-Frame-Options` is `allow`, but must be `deny` or `sameorigin`
        web.yml:13:30: `Content-Security-Policy` is "a\nb", which cannot stand in a header
        web.yml:14:5: `headers` has no key `Server`
        web.yml:16:10: the password of `alice` must be a hash of bcrypt, such as `htpasswd -nB alice` prints
        web.yml:17:3: `b:ob` can be no name of a user, because of the colon
        web.yml:19:13: `interval` is `1 fortnight`, but must be a time such as `1s` or `100ms`: unknown time unit "fortnight", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)
        web.yml:20:10: `burst` is the number -1, but must be a whole number from 0 to 1000000
        web.yml:21:1: the web config has no key `user`
    "#]]
    .assert_eq(&(folder.mistakes() + "\n"));
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_told() {
    let text = format!(
        "tls_server_config:\n  cert_file: {TLS}/server.pem\n  key_file: {TLS}/client.key\n"
    );
    let folder = Folder::with("fit", &text);
    expect![
        "web.yml:3:13: certificate and key do not fit: keys may not be consistent: KeyMismatch"
    ]
    .assert_eq(&folder.mistakes());
    folder.write(&format!(
        "tls_server_config:\n  cert_file: {TLS}/server.key\n  key_file: {TLS}/server.pem\n"
    ));
    expect!["web.yml:2:14: there is no certificate in PEM"].assert_eq(&folder.mistakes());
    folder.write("tls_server_config: {}\n");
    expect![[r#"
        web.yml:1:20: `tls_server_config` has neither `cert` nor `cert_file`
        web.yml:1:20: `tls_server_config` has neither `key` nor `key_file`"#]]
    .assert_eq(&folder.mistakes());
    folder.write("");
    assert_eq!(folder.mistakes(), "");
}

/// A password is never told, however wrong it stands there.
#[test]
fn no_mistake_tells_a_password() {
    let texts = [
        "basic_auth_users: {alice: hunter2}",
        "basic_auth_users: {alice: [hunter2]}",
        "basic_auth_users: hunter2",
        "basic_auth_users: [hunter2]",
        "basic_auth_users: {alice: {hunter2: a}}",
        "basic_auth_users: {alice: \"hunter2}",
        "tls_server_config: {key: hunter2, cert: hunter2}",
        "tls_server_config: {key_file: \"-----BEGIN PRIVATE KEY-----\\nhunter2\"}",
        "tls_server_config: |\n  key: hunter2",
        "hunter2",
    ];
    for text in texts {
        let told = Folder::with("secret", text).mistakes();
        assert!(
            !told.is_empty() && !told.contains("hunter2"),
            "{text}: {told}"
        );
    }
}

#[tokio::test]
async fn who_has_the_password_is_let_in() {
    let text = format!(
        "basic_auth_users:\n  alice: {}\n  bob: {}\n",
        hash("right"),
        hash("")
    );
    let folder = Folder::with("password", &text);
    let guard = Guard::open(&folder.file()).unwrap();
    let now = Instant::now();
    let rules = guard.rules();
    assert!(rules.is_closed());
    let bearer = HeaderValue::from_static("Bearer cmlnaHQ=");
    let broken = HeaderValue::from_static("Basic cmlnaHQ");
    let cases = [
        (HeaderMap::new(), false),
        (
            HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]),
            false,
        ),
        (
            HeaderMap::from_iter([(header::AUTHORIZATION, broken)]),
            false,
        ),
        (authorization("alice", "wrong"), false),
        (authorization("alice", "right"), true),
        (authorization("alice", "right"), true),
        (authorization("bob", "right"), false),
        (authorization("bob", ""), true),
        (authorization("carol", "right"), false),
        (authorization("alice", "wrong"), false),
    ];
    for (place, (headers, fits)) in cases.into_iter().enumerate() {
        let admitted = guard.admit(&rules, &headers, now).await;
        let expected = if fits {
            Ok(())
        } else {
            Err(Refusal::NoPassword)
        };
        assert_eq!(admitted, expected, "{place}");
    }
}

#[tokio::test]
async fn more_requests_than_the_limit_are_refused_before_a_password_is_tried() {
    let users = format!("basic_auth_users: {{alice: {}}}\n", hash("a"));
    let text = format!("rate_limit: {{interval: 1m, burst: 2}}\n{users}");
    let folder = Folder::with("limit", &text);
    let guard = Guard::open(&folder.file()).unwrap();
    let now = Instant::now();
    let rules = guard.rules();
    let mut admitted = Vec::new();
    for _ in 0..3 {
        admitted.push(guard.admit(&rules, &HeaderMap::new(), now).await);
    }
    let none = Err(Refusal::NoPassword);
    assert_eq!(admitted, [none, none, Err(Refusal::TooMany)]);
    folder.write("rate_limit: {interval: 0, burst: 0}\n");
    let guard = Guard::open(&folder.file()).unwrap();
    assert_eq!(
        guard.admit(&guard.rules(), &HeaderMap::new(), now).await,
        Ok(())
    );
}

/// What is half-way written, wrong, gone or open changes nothing, and is looked at until it is well.
#[test]
fn a_change_is_seen_and_a_mistake_changes_nothing() {
    let headers = |value: &str| {
        format!("http_server_config: {{headers: {{X-XSS-Protection: \"{value}\"}}}}\n")
    };
    let folder = Folder::with("change", &headers("one"));
    let guard = Guard::open(&folder.file()).unwrap();
    let now_has = |value: &str, problems: usize| {
        assert_eq!(guard.look().len(), problems, "{value}");
        assert_eq!(guard.look().len(), problems, "it is looked at again");
        let rules = guard.rules();
        let has = rules.headers.iter();
        let has: Vec<&str> = has.map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(has, [value]);
    };
    now_has("one", 0);
    folder.write(&headers("another"));
    now_has("another", 0);
    folder.write("http_server_config: {headers: {X-Powered-By: a}}\n");
    now_has("another", 1);
    folder.write("");
    now_has("another", 1);
    fs::remove_file(folder.file()).unwrap();
    now_has("another", 1);
    folder.write(&headers("third"));
    now_has("third", 0);
    let tls =
        format!("tls_server_config: {{cert_file: {TLS}/server.pem, key_file: {TLS}/server.key}}\n");
    folder.write(&(tls + &headers("fourth")));
    now_has("third", 1);
}

#[tokio::test]
async fn a_change_takes_effect_within_a_second() {
    let folder = Folder::with("second", "http_server_config: {http2: true}\n");
    let guard = Arc::new(Guard::open(&folder.file()).unwrap());
    let watching = tokio::spawn(Arc::clone(&guard).watch());
    folder.write(&format!("basic_auth_users: {{alice: {}}}\n", hash("a")));
    // On a busy machine it may take longer.
    let mut looks = 0;
    while !guard.rules().is_closed() {
        looks += 1;
        assert!(looks <= 10);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    watching.abort();
}

/// A file that the file names comes later than the file.
#[test]
fn what_is_missing_is_looked_for_until_it_is_there() {
    let folder = Folder::with(
        "later",
        &format!("basic_auth_users: {{alice: {}}}\n", hash("a")),
    );
    let guard = Guard::open(&folder.file()).unwrap();
    let certificates = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n";
    folder.write(certificates);
    assert!(guard.look()[0].contains("cert.pem"));
    for (from, to) in [("server.pem", "cert.pem"), ("server.key", "key.pem")] {
        fs::copy(format!("{TLS}/{from}"), folder.0.join(to)).unwrap();
    }
    let problem = guard.look().remove(0);
    assert!(
        problem.ends_with("to switch TLS on needs a restart"),
        "{problem}"
    );
    assert!(
        guard.rules().is_closed(),
        "the password is asked for until then"
    );
}

/// A pipe to which nobody writes, and a device that never ends.
#[test]
fn what_is_no_file_is_not_read() {
    let folder = Folder::with(
        "pipe",
        "tls_server_config: {cert_file: pipe, key_file: /dev/zero}\n",
    );
    let made = std::process::Command::new("mkfifo")
        .arg(folder.0.join("pipe"))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(folder.mistakes().matches("is no regular file").count(), 2);
}

/// Whoever leaves before his password was tried leaves no thread beside that of the next one.
#[tokio::test]
async fn passwords_are_tried_one_after_the_other_whoever_waits_for_them() {
    let hashed = bcrypt::hash_with_salt("a", 9, *b"a grain of salt.").unwrap();
    let hashed = hashed.format_for_version(bcrypt::Version::TwoY);
    let users = BTreeMap::from([("alice".to_owned(), hashed)]);
    let passwords = Passwords::default();
    let tried = passwords.fit(&users, "alice".to_owned(), b"b".to_vec());
    let left = tokio::time::timeout(Duration::from_millis(1), tried).await;
    assert!(left.is_err());
    assert_eq!(
        passwords.turn.available_permits(),
        0,
        "the thread has it still"
    );
    assert!(
        passwords
            .fit(&users, "alice".to_owned(), b"a".to_vec())
            .await
    );
    let long = vec![b'a'; 2_000];
    assert!(!passwords.fit(&users, "alice".to_owned(), long).await);
}

/// A certificate that is renewed in its place.
#[test]
fn a_file_that_the_file_names_is_looked_at_too() {
    let folder = Folder::with(
        "renewed",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n",
    );
    let copy = |from: &str| {
        for (kind, to) in [("pem", "cert.pem"), ("key", "key.pem")] {
            fs::copy(format!("{TLS}/{from}.{kind}"), folder.0.join(to)).unwrap();
        }
    };
    copy("client");
    let guard = Guard::open(&folder.file()).unwrap();
    let before = guard.rules().tls.clone().unwrap();
    assert!(handshake(&before, None).is_err());
    copy("server");
    assert_eq!(guard.look(), Vec::<String>::new());
    let after = guard.rules().tls.clone().unwrap();
    handshake(&after, None).unwrap();
}

/// Lets a client that trusts the authority of the tests, with the certificate named, connect.
fn handshake(
    server: &Arc<rustls::ServerConfig>,
    certificate: Option<&str>,
) -> Result<rustls::ProtocolVersion, rustls::Error> {
    handshake_by(server, certificate, rustls::ALL_VERSIONS)
}

fn handshake_by(
    server: &Arc<rustls::ServerConfig>,
    certificate: Option<&str>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<rustls::ProtocolVersion, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(format!("{TLS}/ca.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(format!("{TLS}/{name}.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(format!("{TLS}/{name}.key")).unwrap();
            builder
                .with_client_auth_cert(chain.map(Result::unwrap).collect(), key)
                .unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    while client.is_handshaking()
        || server.is_handshaking()
        || client.wants_write()
        || server.wants_write()
    {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        if !wire.is_empty() {
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets()?;
        }
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        if !wire.is_empty() {
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(client.protocol_version().unwrap())
}

#[test]
fn clients_are_asked_for_certificates_as_go_does() {
    let connects = |settings: &str, certificate: Option<&str>| {
        let text = format!(
            "tls_server_config:\n  cert_file: {TLS}/server.pem\n  key_file: {TLS}/server.key\n{settings}"
        );
        let folder = Folder::with("clients", &text);
        let guard = Guard::open(&folder.file()).unwrap_or_else(|findings| panic!("{findings:?}"));
        let tls = guard.rules().tls.clone().unwrap();
        handshake(&tls, certificate).is_ok()
    };
    let all = [None, Some("server"), Some("client")];
    // The certificate of the server is signed by the authority, but not for clients.
    let expected = [
        [true, true, true],
        [true, true, true],
        [false, true, true],
        [true, false, true],
        [false, false, true],
    ];
    for ((kind, [_, _, verifies]), expected) in Clients::NAMES.into_iter().zip(expected) {
        let ca = if verifies {
            format!("  client_ca_file: {TLS}/ca.pem\n")
        } else {
            String::new()
        };
        let settings = format!("  client_auth_type: {kind}\n{ca}");
        assert_eq!(
            all.map(|certificate| connects(&settings, certificate)),
            expected,
            "{kind}"
        );
    }
    for (name, expected) in [
        ("scraper.example", true),
        ("192.0.2.7", true),
        ("spiffe://example/scraper", true),
        ("192.0.2.8", false),
        ("example", false),
    ] {
        let settings = format!(
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {TLS}/ca.pem\n  client_allowed_sans: [other.example, \"{name}\"]\n"
        );
        assert_eq!(connects(&settings, Some("client")), expected, "{name}");
        assert!(!connects(&settings, Some("stranger")), "{name}");
    }
}

#[test]
fn versions_suites_and_curves_are_those_that_are_named() {
    let folder = Folder::with("versions", "");
    for (settings, version, suite) in [
        (
            "max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
            rustls::ProtocolVersion::TLSv1_2,
            Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ),
        (
            "min_version: TLS13, curve_preferences: [CurveP384]",
            rustls::ProtocolVersion::TLSv1_3,
            None,
        ),
    ] {
        folder.write(&format!("tls_server_config: {{cert_file: {TLS}/server.pem, key_file: {TLS}/server.key, {settings}}}\n"));
        let tls = Guard::open(&folder.file())
            .unwrap()
            .rules()
            .tls
            .clone()
            .unwrap();
        let provider = tls.crypto_provider();
        let suites: Vec<&str> = provider
            .cipher_suites
            .iter()
            .filter(|suite| suite.tls13().is_none())
            .filter_map(|suite| suite.suite().as_str())
            .collect();
        match suite {
            Some(suite) => assert_eq!(suites, [suite]),
            None => assert_eq!(
                provider
                    .kx_groups
                    .iter()
                    .map(|group| group.name())
                    .collect::<Vec<_>>(),
                [rustls::NamedGroup::secp384r1]
            ),
        }
        assert_eq!(handshake(&tls, None), Ok(version));
        let other = match version {
            rustls::ProtocolVersion::TLSv1_2 => &rustls::version::TLS13,
            _ => &rustls::version::TLS12,
        };
        assert!(handshake_by(&tls, None, &[other]).is_err(), "{settings}");
    }
}
